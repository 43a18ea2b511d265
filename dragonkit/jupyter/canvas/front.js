// What ipycanvas does not do in the browser: which button it was, strokes that leave the canvas, a wheel that scrolls the page, the focus,
// what the pointer looks like, the clipboard, downloads.
// Python makes one of these for each canvas; its class name says for which.

const EDITOR = ".dk-editor";
const TYPING = "input, textarea, select, [contenteditable=true]";

function render({ model, el }) {
  const canvasOf = (node) => node?.closest?.("." + model.get("surface"))?.closest("canvas") ?? null;
  const ours = () => document.querySelector("canvas." + model.get("surface") + ", ." + model.get("surface") + " canvas");
  const editor = () => el.closest(EDITOR);
  const dead = () => !!editor()?.classList.contains("jupyter-widgets-disconnected"); // its kernel hears nothing
  const send = (action, values) => {
    if (!dead()) model.send({ action, ...values });
  };
  let pressed = null; // the canvas on which the primary button went down
  let pushing = null; // where the pointer was when the picture was pushed last
  let space = false;
  const curtain = new Curtain(model);

  const look = document.createElement("style");
  el.append(look);
  const point = () => {
    const cursor = pushing ? "grabbing" : space ? "grab" : model.get("cursor");
    look.textContent = `.dk-editor .${model.get("surface")}, .dk-editor .${model.get("surface")} canvas { cursor: ${cursor}; }`;
  };
  point();
  model.on("change:cursor", point);

  const place = (canvas, event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * canvas.width) / box.width, ((event.clientY - box.top) * canvas.height) / box.height];
  };
  const swallow = (event) => {
    event.stopImmediatePropagation();
    event.preventDefault();
  };

  const down = (event) => {
    const canvas = canvasOf(event.target);
    if (!canvas) return;
    if (event.button === 1 || (event.button === 0 && space)) {
      pushing = [event.clientX, event.clientY];
      canvas.focus();
      point();
      swallow(event);
    } else if (event.button !== 0) {
      swallow(event);
    } else if (!dead() && curtain.begins(canvas, place(canvas, event)[0])) {
      canvas.focus();
      swallow(event);
    } else {
      pressed = canvas;
    }
  };

  const move = (event) => {
    if (curtain.pushed) {
      curtain.to(place(curtain.canvas, event)[0]);
      swallow(event);
    } else if (pushing) {
      const canvas = ours();
      const scale = canvas.width / canvas.getBoundingClientRect().width;
      send("pan", { dx: (event.clientX - pushing[0]) * scale, dy: (event.clientY - pushing[1]) * scale });
      pushing = [event.clientX, event.clientY];
      event.stopImmediatePropagation();
    } else if (pressed && !canvasOf(event.target)) {
      const [x, y] = place(pressed, event);
      send("move", { x, y });
    }
  };

  const up = (event) => {
    if (curtain.pushed && event.button === 0) {
      send("slid", { x: curtain.end() });
      swallow(event);
    } else if (pushing && (event.button === 1 || event.button === 0)) {
      pushing = null;
      point();
      event.stopImmediatePropagation();
    } else if (pressed && event.button === 0) {
      if (!canvasOf(event.target)) {
        const [x, y] = place(pressed, event);
        send("up", { x, y });
      }
      pressed = null;
    } else if (canvasOf(event.target) && event.button !== 0) {
      event.stopImmediatePropagation();
    }
  };

  // while the button is down, leaving the canvas ends nothing; a canvas that dies under the pointer is left, too
  const out = (event) => {
    if ((pressed || pushing || dead()) && canvasOf(event.target)) event.stopImmediatePropagation();
  };

  const wheel = (event) => {
    const canvas = canvasOf(event.target);
    if (!canvas) return;
    if (event.ctrlKey || event.metaKey) {
      const [x, y] = place(canvas, event);
      send("zoom", { x, y, by: Math.exp(-Math.max(-100, Math.min(100, event.deltaY)) / 300) });
      swallow(event);
    } else if (!model.get("zoomed")) {
      event.stopImmediatePropagation(); // ipycanvas would keep the page from scrolling
    }
  };

  // a click on a button gives the keys back to the picture; a press of a key on one does not
  const click = (event) => {
    const root = editor();
    if (model.get("main") && event.detail > 0 && root?.contains(event.target) && !event.target.closest(TYPING)) {
      if (!event.target.closest("canvas")) ours()?.focus({ preventScroll: true });
    }
  };

  const key = (event) => {
    if (model.get("main") && event.type === "keydown" && event.target === editor()) {
      ours()?.focus({ preventScroll: true }); // a click on what can do nothing, such as a disabled button, leaves the focus here
      ours()?.dispatchEvent(new KeyboardEvent("keydown", event));
      swallow(event);
      return;
    }
    if (event.key !== " ") return;
    const busy = event.target.closest?.(TYPING + ", button, [role=button]");
    space = event.type === "keydown" && !busy && !!ours() && (event.target === ours() || ours().matches(":hover"));
    point();
  };
  const forget = () => {
    space = false;
    point();
  };

  // ipywidgets explains a number at its label only, and a text or a list not at all
  const explain = (event) => {
    const field = event.target.closest?.(".widget-inline-hbox");
    if (!field || !editor()?.contains(field)) return;
    const label = field.querySelector("label");
    const words = label?.title || model.get("titles")[label?.textContent ?? field.textContent];
    if (words && field.title !== words) field.title = words;
  };

  // what the kernel cannot do: the clipboard, and files on this side
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea"); // where a page may not use the clipboard, such as over plain http
      area.value = text;
      area.style.position = "fixed";
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      ours()?.focus({ preventScroll: true });
      return done;
    }
  };
  const download = (name, bytes) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes]));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
  const asked = async (message, buffers) => {
    if (message.ask === "copy") send("copied", { done: (await copy(message.text)) ? 1 : 0 });
    if (message.ask === "lift") curtain.lift();
    if (message.ask === "live") editor()?.classList.add("dk-live");
    if (message.ask === "download") download(message.name, buffers[0]);
  };
  model.on("msg:custom", asked);

  const options = { capture: true, passive: false };
  const listeners = { mousedown: down, mousemove: move, mouseup: up, mouseout: out, wheel, click, keydown: key, keyup: key, mouseover: explain };
  for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener, options);
  window.addEventListener("blur", forget);

  // keys that are pressed anywhere in the editor are the editor's: R on a button must not make a raw cell of the notebook's
  const guard = () => {
    editor()?.setAttribute("data-lm-suppress-shortcuts", "true");
    editor()?.setAttribute("tabindex", "-1");
  };
  guard();
  const soon = requestAnimationFrame(guard);
  send("hello", {});

  // on a fine screen the canvas has more pixels
  let screen = null;
  const measure = () => {
    screen?.removeEventListener("change", measure);
    screen = matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`); // changes when the page is enlarged, or moved to another screen
    screen.addEventListener("change", measure);
    send("screen", { ratio: window.devicePixelRatio });
  };
  measure();

  return () => {
    cancelAnimationFrame(soon);
    model.off("msg:custom", asked);
    model.off("change:cursor", point);
    for (const [name, listener] of Object.entries(listeners)) document.removeEventListener(name, listener, options);
    window.removeEventListener("blur", forget);
    screen.removeEventListener("change", measure);
    curtain.close();
  };
}

export default { render };
