// The line between before and after is pushed on this side: both pictures are here, and Python hears where the line is let go of.

const KNOB = 11; // as in comparison.py

// What is shown, as Python says: {before, after} with the widget that holds the file, its place and whether it is smoothed, and the line's x.
class Curtain {
  constructor(model) {
    this.model = model;
    this.pair = null; // what can be pushed: the same with pictures
    this.held = null; // what is pushed, whatever else is shown meanwhile
    this.sheet = null; // laid over the canvas while it is pushed
    this.x = null; // of the line while it is pushed
    this.files = new Set();
    this.prepare = this.prepare.bind(this);
    model.on("change:comparing", this.prepare);
    this.prepare();
  }

  async prepare() {
    const asked = this.model.get("comparing");
    this.pair = null;
    if (!asked?.after) return this.lift();
    const load = async (place) => {
      const file = await this.model.widget_manager.get_model(place.file);
      if (!this.files.has(file)) file.on("change:value", this.prepare);
      this.files.add(file);
      return { ...place, picture: await createImageBitmap(new Blob([file.get("value")])) };
    };
    try {
      const [before, after] = await Promise.all([load(asked.before), load(asked.after)]);
      if (this.model.get("comparing") !== asked) return;
      this.pair = { ...asked, before, after };
    } catch {
      return; // a file that is on its way: Python pushes the line meanwhile
    } finally {
      this.lift();
    }
  }

  // Whether the pointer takes the line here.
  begins(canvas, x) {
    if (!this.pair || Math.abs(x - this.pair.line) > this.pair.reach) return false;
    this.lift();
    const { left, top, width, height } = canvas.getBoundingClientRect();
    this.sheet = document.createElement("canvas");
    this.sheet.className = "dk-curtain";
    Object.assign(this.sheet, { width: canvas.width, height: canvas.height });
    const place = { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` };
    Object.assign(this.sheet.style, { position: "fixed", zIndex: 1000, pointerEvents: "none", ...place });
    this.canvas = canvas;
    this.held = this.pair;
    document.body.append(this.sheet);
    this.to(x);
    return true;
  }

  get pushed() {
    return this.x !== null;
  }

  to(x) {
    const { before, after } = this.held;
    const [left, right] = [Math.max(0, after.x), Math.min(this.sheet.width, after.x + after.width)];
    this.x = Math.min(Math.max(x, left), right);
    const brush = this.sheet.getContext("2d");
    brush.clearRect(0, 0, this.sheet.width, this.sheet.height);
    for (const [one, from] of [[before, 0], [after, this.x]]) {
      brush.save();
      brush.beginPath();
      brush.rect(from, 0, this.sheet.width - from, this.sheet.height);
      brush.clip();
      brush.imageSmoothingEnabled = one.smooth;
      brush.drawImage(one.picture, one.x, one.y, one.width, one.height);
      brush.restore();
    }
    this.line(brush);
  }

  line(brush) {
    const { fine } = this.held;
    const [x, height] = [this.x / fine, this.sheet.height / fine];
    brush.save();
    brush.scale(fine, fine);
    for (const [half, color] of [[2, "#000000"], [1, "#ffffff"]]) {
      brush.fillStyle = color;
      brush.fillRect(x - half, 0, 2 * half, height);
    }
    for (const [radius, color] of [[KNOB + 1.5, "#000000"], [KNOB, "#ffffff"]]) {
      brush.fillStyle = color;
      brush.beginPath();
      brush.arc(x, height / 2, radius, 0, 2 * Math.PI);
      brush.fill();
    }
    brush.fillStyle = "#000000";
    for (const way of [-1, 1]) {
      brush.beginPath();
      brush.moveTo(x + way * 9, height / 2);
      brush.lineTo(x + way * 3, height / 2 - 5);
      brush.lineTo(x + way * 3, height / 2 + 5);
      brush.fill();
    }
    brush.restore();
  }

  // Where it is let go of; the sheet stays until Python has drawn the same, and says so.
  end() {
    const { x } = this;
    this.x = null;
    return x;
  }

  lift() {
    if (this.pushed) return; // somebody has the line in hand
    this.sheet?.remove();
    this.sheet = null;
  }

  close() {
    this.x = null;
    this.lift();
    this.model.off("change:comparing", this.prepare);
    for (const file of this.files) file.off("change:value", this.prepare);
  }
}
