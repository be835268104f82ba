// Draws the charts in the reader's colours, and folds the tables that now have a drawing above.
(async () => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colours = () => {
    const css = getComputedStyle(document.documentElement);
    const value = (name) => css.getPropertyValue(name).trim();
    const axis = (name) => ({
      [name + ".gridcolor"]: value("--rule"), [name + ".linecolor"]: value("--rule"),
      [name + ".zerolinecolor"]: value("--rule"),
    });
    return {
      "font.color": value("--ink"), "hoverlabel.bgcolor": value("--band"),
      "hoverlabel.font.color": value("--ink"), ...axis("xaxis"), ...axis("yaxis"),
    };
  };
  const config = { displaylogo: false, responsive: true, scrollZoom: false };
  const drawn = [];
  for (const box of document.querySelectorAll(".chart")) {
    const spec = JSON.parse(box.parentElement.querySelector("script").textContent);
    await Plotly.newPlot(box, spec.data, spec.layout, config);
    await Plotly.relayout(box, colours());
    drawn.push(box);
    for (const table of box.closest("section").querySelectorAll(":scope > details.data"))
      table.open = false;
    await new Promise((next) => setTimeout(next));
  }
  dark.addEventListener("change", () => drawn.forEach((box) => Plotly.relayout(box, colours())));
  addEventListener("beforeprint", () => {
    for (const table of document.querySelectorAll("details")) table.open = true;
  });
  document.documentElement.dataset.drawn = drawn.length;
})();
