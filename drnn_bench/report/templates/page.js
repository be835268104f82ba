// Draws the charts in the reader's colours, and folds the tables that now have a drawing above;
// finds tasks by their words.
(async () => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colours = () => {
    const css = getComputedStyle(document.documentElement);
    const [ink, dim, rule, band] = ["--ink", "--dim", "--rule", "--band"].map((name) =>
      css.getPropertyValue(name).trim());
    const axis = { gridcolor: rule, linecolor: rule, zerolinecolor: rule };
    return {
      font: { color: ink }, xaxis: axis, yaxis: axis,
      hoverlabel: { bgcolor: band, font: { color: ink } },
      modebar: { bgcolor: band, color: dim, activecolor: ink },
    };
  };
  // Every chart has these: said once, they are a fiftieth of the page less.
  const axis = { automargin: true, zeroline: false };
  const shared = {
    // The buttons stand in the right margin, where they cover no legend.
    margin: { l: 8, r: 36, t: 8, b: 8 }, modebar: { orientation: "v" },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    dragmode: false, // on a phone a finger on a chart scrolls the page
    hovermode: "closest", showlegend: true, barmode: "group",
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    font: { family: "system-ui, sans-serif", size: 13 },
  };
  const whole = ({ xaxis, yaxis }) =>
    ({ ...structuredClone(shared), xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis } });
  const merge = (layout) => {
    for (const [part, values] of Object.entries(colours()))
      layout[part] = { ...layout[part], ...values };
    return layout;
  };
  const config = {
    displaylogo: false, responsive: true,
    // Named one by one: plotly's own list has a button that sends the chart to its makers.
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  };
  const unpacked = (id) => {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent),
      (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  const plotly = document.createElement("script");
  plotly.text = await unpacked("plotly");
  document.head.append(plotly);
  const figures = JSON.parse(await unpacked("figures"));
  const charts = [...document.querySelectorAll(".chart")];
  const draw = async (box) => {
    box.dataset.begun = "";
    const spec = figures[box.dataset.figure];
    spec.layout = whole(spec.layout);
    if (box.clientWidth < 500) { // a phone: the legend is long, and stands below
      box.classList.add("narrow");
      spec.layout.legend = { orientation: "h", x: 0, y: -0.2, yanchor: "top" };
    }
    await Plotly.newPlot(box, spec.data, merge(spec.layout), config);
    for (const table of box.closest("section").querySelectorAll(":scope > details.data"))
      table.open = false;
    await new Promise((next) => setTimeout(next)); // the page answers between two charts
  };
  // A chart is drawn when it can be seen: in what is folded it has no size.
  const drawShown = async () => {
    for (const box of charts)
      if (!("begun" in box.dataset) && !box.parentElement.closest("details:not([open])"))
        await draw(box);
    document.documentElement.dataset.drawn = charts.filter((box) => "begun" in box.dataset).length;
  };
  document.addEventListener("toggle", drawShown, true);
  dark.addEventListener("change", () => charts.filter((box) => box.data).forEach((box) =>
    Plotly.react(box, box.data, merge(box.layout), config)));
  let unfolded = []; // by printing, until it is over
  addEventListener("beforeprint", () => {
    unfolded = [...document.querySelectorAll("details:is(.question, .data):not([open])")];
    unfolded.forEach((part) => { part.open = true; });
  });
  addEventListener("afterprint", () => unfolded.forEach((part) => { part.open = false; }));
  const tasks = [...document.querySelectorAll("details.task")];
  const search = document.getElementById("search");
  if (search) {
    search.closest("p").hidden = false;
    search.addEventListener("input", () => tasks.forEach((task) => {
      const words = task.querySelector("summary").textContent.toLowerCase();
      task.hidden = !words.includes(search.value.trim().toLowerCase());
    }));
  }
  await drawShown();
})();
