const table = document.getElementById("table");
const fixed = Number(table.dataset.fixed);
let sortedBy = null;

function cells(row) {
  return [...row.cells].slice(fixed);
}

function sortBy(row) {
  const largestFirst = sortedBy !== row;
  sortedBy = largestFirst ? row : null;
  const order = cells(row)
    .map((cell, place) => ({ place, value: cell.dataset.value === "" ? NaN : Number(cell.dataset.value) }))
    .sort((a, b) => isNaN(a.value) - isNaN(b.value) || (largestFirst ? b.value - a.value : a.value - b.value))
    .map(({ place }) => place);
  for (const other of table.rows) {
    const before = cells(other);
    other.append(...order.map((place) => before[place]));
  }
}

function filter() {
  const name = document.getElementById("name").value.toLowerCase();
  const exercise = document.getElementById("exercise").value;
  const differing = document.getElementById("differing").checked;
  const measures = document.getElementById("measures").checked;
  const isShown = cells(table.rows[0]).map((cell) => cell.textContent.toLowerCase().includes(name));
  for (const row of table.rows) {
    const shown = cells(row).filter((cell, place) => {
      cell.hidden = !isShown[place];
      return isShown[place];
    });
    const isAlike = shown.every((cell) => cell.dataset.status === "pass");
    row.hidden =
      "exercise" in row.dataset &&
      ((exercise !== "" && row.dataset.exercise !== exercise) ||
        (measures && !row.classList.contains("figure")) ||
        (differing && (isAlike || row.classList.contains("subtotal"))));
  }
}

for (const button of table.querySelectorAll("button")) {
  button.addEventListener("click", () => sortBy(button.closest("tr")));
}
for (const control of document.querySelectorAll("#controls input, #controls select")) {
  control.addEventListener("input", filter);
}
