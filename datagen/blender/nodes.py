"""Shader graphs in few words."""

from __future__ import annotations

from typing import Any


class Graph:
    """Builds one node tree. A value given for an input is a constant, or a socket to link."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        tree.nodes.clear()

    def add(self, kind: str, *inputs: Any, **properties: Any) -> Any:
        """A node of type ``ShaderNode<kind>``.

        Positional ``inputs`` fill its sockets in order (None skips one); a dictionary among ``properties``
        named ``named`` fills them by name; the rest are the node's own properties.
        """
        named = properties.pop("named", {})
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for name, value in properties.items():
            setattr(node, name, value)
        for key, value in [*enumerate(inputs), *named.items()]:
            if value is not None:
                self._fill(node.inputs[key], value)
        return node

    def covers(self, segmentation_class: str) -> None:
        """Count what this material covers of a pixel to a class of ``conventions.WORN_CLASSES``."""
        self.add("OutputAOV", named={"Value": 1.0}).aov_name = segmentation_class

    def math(self, operation: str, *inputs: Any, clamp: bool = False) -> Any:
        """The output socket of a Math node."""
        return self.add("Math", *inputs, operation=operation, use_clamp=clamp).outputs[0]

    def attribute(self, name: str) -> Any:
        """The node of a vertex attribute; its outputs are Color, Vector, Fac."""
        return self.add("Attribute", attribute_type="GEOMETRY", attribute_name=name)

    def ramp(self, value: Any, low: float, high: float) -> Any:
        """0 at ``low``, 1 at ``high``, a cubic between; low may exceed high."""
        if low > high:
            return self.math("SUBTRACT", 1.0, self.ramp(value, high, low))
        node = self.add("MapRange", value, low, high, 0.0, 1.0, interpolation_type="SMOOTHSTEP")
        return node.outputs[0]

    def mix(self, share: Any, first: Any, second: Any) -> Any:
        """Mixed colours; ``share`` 1 gives ``second``."""
        node = self.add("Mix", data_type="RGBA", clamp_factor=True)
        for index, value in ((0, share), (6, first), (7, second)):  # the sockets of this data type
            self._fill(node.inputs[index], value)
        return node.outputs[2]

    def lerp(self, share: Any, first: Any, second: Any) -> Any:
        """Mixed numbers."""
        node = self.add("Mix", data_type="FLOAT", clamp_factor=True)
        for index, value in ((0, share), (2, first), (3, second)):
            self._fill(node.inputs[index], value)
        return node.outputs[0]

    def _fill(self, socket: Any, value: Any) -> None:
        if hasattr(value, "is_output"):
            self.tree.links.new(value, socket)
        elif isinstance(value, (tuple, list)):
            wide = len(socket.default_value)
            socket.default_value = (*value, 1.0)[:wide]
        else:
            socket.default_value = value
