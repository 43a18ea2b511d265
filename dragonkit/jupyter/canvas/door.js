// Files on their way to Python: chosen with a button, dropped on the editor, or pasted into it.
// They are sent in pieces, since a server ends a connection over which too much comes at once.

const PIECE = 1 << 20; // bytes
const AT_ONCE = 2; // files: a result, and the picture that it was made from
const AREAS = ".dk-editor, .dk-second"; // what is dropped or pasted belongs to the innermost

function render({ model, el }) {
  const area = () => el.closest(AREAS);
  const button = document.createElement("button");
  button.className = "lm-Widget jupyter-widgets jupyter-button widget-button";
  button.style.width = "auto";
  const show = () => {
    button.title = model.get("tooltip");
    button.innerHTML = `<i class="fa fa-${model.get("icon")} center"></i>`;
    button.append(" " + model.get("description"));
  };
  show();
  el.append(button);
  const chooser = document.createElement("input");
  chooser.type = "file";
  chooser.accept = model.get("accept");

  const send = async (file) => {
    model.send({ name: file.name, size: file.size });
    if (file.size > model.get("most")) return;
    for (let start = 0; start < file.size; start += PIECE) {
      model.send({}, undefined, [await file.slice(start, start + PIECE).arrayBuffer()]);
    }
  };
  const sendAll = async (files) => {
    for (const file of [...files].slice(0, AT_ONCE)) await send(file);
  };

  // whether something that happens there is meant for this door: a second picture has one of its own
  const mine = (node) => !!area() && node?.closest?.(AREAS) === area();
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const over = (event) => {
    if (!carries(event) || !mine(event.target)) {
      area()?.classList.remove("dk-dropping");
      return;
    }
    area().classList.add("dk-dropping");
    event.dataTransfer.dropEffect = "copy";
    event.preventDefault();
    event.stopPropagation();
  };
  const leave = (event) => {
    if (!mine(event.relatedTarget)) area()?.classList.remove("dk-dropping");
  };
  const drop = (event) => {
    area()?.classList.remove("dk-dropping");
    if (!carries(event) || !mine(event.target)) return;
    event.preventDefault();
    event.stopPropagation();
    sendAll(event.dataTransfer.files);
  };
  const paste = (event) => {
    const target = document.activeElement === document.body ? event.target : document.activeElement;
    const files = event.clipboardData?.files ?? [];
    if (!files.length || !mine(target)) return;
    event.preventDefault();
    event.stopPropagation();
    sendAll(files);
  };
  // a canvas of ipycanvas takes every key, and then nothing is pasted
  const key = (event) => {
    const pastes = (event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "v";
    if (pastes && area()?.contains(event.target)) event.stopImmediatePropagation();
  };

  button.addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", async () => {
    await sendAll(chooser.files);
    chooser.value = ""; // the same file may be chosen again
  });
  model.on("change:description change:tooltip change:icon", show);
  const listeners = { dragover: over, dragleave: leave, drop, paste, keydown: key };
  for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener, true);
  return () => {
    model.off("change:description change:tooltip change:icon", show);
    for (const [name, listener] of Object.entries(listeners)) document.removeEventListener(name, listener, true);
  };
}

export default { render };
