// What the manifest and the record say of a clip, and the command that makes it again.

import { bytes, el, shown } from "./dom.js";

export function details(clip) {
  const facts = Object.entries(clip.row).filter(([, value]) => value !== null);
  const size = clip.members.reduce((sum, member) => sum + (Number(member.size) || 0), 0);
  return el(
    "section",
    { class: "panel details" },
    replay(clip.replay),
    el("h2", {}, "Row of the manifest"),
    el("dl", { id: "row" }, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", { title: shown(value) }, shown(value))])),
    el("details", {}, el("summary", {}, `${clip.members.length} members, ${bytes(size)}`), el("dl", {}, ...clip.members.flatMap((member) => [el("dt", {}, member.name), el("dd", {}, bytes(member.size))]))),
    el("details", {}, el("summary", {}, "spec.json"), el("pre", {}, clip.spec)),
  );
}

function replay(command) {
  const text = el("input", { class: "command", id: "replay", readOnly: true, value: command, ariaLabel: "command that renders this clip again" });
  const button = el("button", { type: "button", id: "copy" }, "Copy replay command");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = "Copied";
    } catch {
      text.select();
      button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl-C to copy";
    }
    setTimeout(() => (button.textContent = "Copy replay command"), 2000);
  });
  return el("div", { class: "replay" }, text, button);
}
