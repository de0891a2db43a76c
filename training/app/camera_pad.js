// A pad that a camera is dragged on: across is yaw, up is pitch. Arrow keys move it by five degrees.
const [mostYaw, mostPitch, step] = [props.most_yaw, props.most_pitch, 5];
const held = (value, most) => Math.round(Math.max(-most, Math.min(most, value)));

function put(yaw, pitch) {
  const next = { yaw_deg: held(yaw, mostYaw), pitch_deg: held(pitch, mostPitch) };
  if (next.yaw_deg === props.value.yaw_deg && next.pitch_deg === props.value.pitch_deg) return;
  props.value = next;
  trigger("input");
}

function follow(event) {
  const box = element.querySelector(".pad").getBoundingClientRect();
  const across = (event.clientX - box.left) / box.width, down = (event.clientY - box.top) / box.height;
  put((across * 2 - 1) * mostYaw, (1 - down * 2) * mostPitch);
}

let dragging = false;
element.addEventListener("pointerdown", (event) => {
  if (!event.target.closest(".pad")) return;
  dragging = true;
  element.setPointerCapture(event.pointerId);
  follow(event);
});
element.addEventListener("pointermove", (event) => dragging && follow(event));
for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, () => (dragging = false));

element.tabIndex = 0;
element.setAttribute("role", "application");
element.setAttribute("aria-label", "Camera: arrow keys turn it");
element.addEventListener("keydown", (event) => {
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
  const move = moves[event.key];
  if (!move) return;
  event.preventDefault();
  put(props.value.yaw_deg + move[0], props.value.pitch_deg + move[1]);
});
