// A button with a picture on it.

function render({ model, el }) {
  const button = document.createElement("button");
  button.className = "dk-thumbnail";
  button.title = model.get("tooltip");
  const image = document.createElement("img");
  image.alt = model.get("description");
  image.height = model.get("height");
  image.src = URL.createObjectURL(new Blob([model.get("picture")], { type: "image/png" }));
  button.append(image);
  button.addEventListener("click", () => model.send("click"));
  el.append(button);
  return () => URL.revokeObjectURL(image.src);
}

export default { render };
