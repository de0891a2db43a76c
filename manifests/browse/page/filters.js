// The filter: lines of column, operator and value, all of which must hold.

import { el } from "./dom.js";
import { getJson } from "./http.js";

// `changed` gets [[column, operator, value], ...] whenever a person has settled on something.
export function makeFilters(corpus, changed) {
  const lines = el("div", { class: "filter-lines" });
  const add = el("button", { type: "button", class: "quiet", id: "add-filter", onclick: () => append().focus() }, "+ Filter");
  const root = el("div", { class: "filters" }, lines, add);
  const kinds = new Map(corpus.columns.map((column) => [column.name, column]));
  let current = [];

  const settle = () => {
    const conditions = [...lines.children].map((line) => line.condition()).filter((condition) => condition);
    if (JSON.stringify(conditions) !== JSON.stringify(current)) {
      current = conditions;
      changed(conditions);
    }
  };

  function append(condition) {
    const line = makeLine(corpus, kinds, condition, settle);
    lines.append(line);
    return line;
  }

  const set = (conditions) => {
    if (JSON.stringify(conditions) === JSON.stringify(current) && lines.children.length) return;
    current = conditions;
    lines.replaceChildren();
    conditions.forEach(append);
    if (!conditions.length) append();
  };
  return { root, set };
}

function makeLine(corpus, kinds, condition, settle) {
  const column = el("select", { class: "column", ariaLabel: "column" });
  column.append(...corpus.columns.map(({ name }) => el("option", { value: name }, name)));
  const operator = el("select", { class: "operator", ariaLabel: "operator" });
  const listId = `values-${Math.random().toString(36).slice(2)}`;
  const suggestions = el("datalist", { id: listId });
  const value = el("input", { class: "value", ariaLabel: "value", maxLength: 200, placeholder: "value", autocomplete: "off" });
  value.setAttribute("list", listId);

  const takesValue = () => !corpus.without_value.includes(operator.value);
  const columnChosen = () => {
    operator.replaceChildren(...kinds.get(column.value).operators.map((name) => el("option", { value: name }, name)));
    suggestions.replaceChildren();
    operatorChosen();
  };
  const operatorChosen = () => {
    value.hidden = !takesValue();
  };
  const suggest = async () => {
    if (suggestions.children.length || kinds.get(column.value).kind !== "text" || column.value === "key") return;
    const asked = column.value;
    const values = await getJson("/api/values", { column: asked }).catch(() => []);
    if (asked !== column.value) return;
    const named = values.filter((item) => item.value !== null);
    suggestions.replaceChildren(
      ...named.map((item) => el("option", { value: item.value }, `${item.count.toLocaleString("en")} clips`)),
    );
  };

  column.value = kinds.has("recipe") ? "recipe" : corpus.columns[0].name;
  if (condition && kinds.has(condition[0])) column.value = condition[0];
  columnChosen();
  if (condition) {
    operator.value = condition[1];
    value.value = condition[2];
    operatorChosen();
  }
  column.addEventListener("change", () => {
    value.value = "";
    columnChosen();
    settle();
  });
  operator.addEventListener("change", () => {
    operatorChosen();
    settle();
  });
  value.addEventListener("focus", suggest);
  value.addEventListener("change", settle);

  const line = el("form", { class: "filter" }, column, operator, value, suggestions);
  const remove = el("button", { type: "button", class: "quiet", title: "remove this filter", onclick: () => { line.remove(); settle(); } }, "×");
  line.append(remove);
  line.addEventListener("submit", (event) => {
    event.preventDefault();
    settle();
  });
  line.condition = () => {
    if (takesValue() && value.value === "") return null;
    return [column.value, operator.value, takesValue() ? value.value : ""];
  };
  line.focus = () => column.focus();
  return line;
}
