// How large the tiles are: as large as all of them fit without scrolling, and never smaller than can be read and hit.

const LEAST = { width: 140, height: 98 };
const MOST = { width: 300, height: 190 };
const GAP = 6;
const HEAD = 26;

/** `sizes`: how many tiles each group shows; `heads`: whether each group has a heading. */
export function fit(place, sizes, heads) {
  const style = getComputedStyle(place);
  const width = place.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const height = place.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  if (width <= 0) return;
  const best = choose(width, height - (heads ? sizes.length * (HEAD + GAP) : 0), sizes);
  place.style.setProperty('--columns', best.columns);
  place.style.setProperty('--tile-height', `${Math.floor(best.height)}px`);
  place.style.setProperty('--tile-width', `${Math.floor(best.width)}px`);
}

function choose(width, height, sizes) {
  const least = Math.min(LEAST.width, (width - GAP) / 2);
  const most = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
  let best = null;
  for (let columns = 1; columns <= most; columns += 1) {
    const rows = sizes.reduce((sum, size) => sum + Math.ceil(size / columns), 0) || 1;
    const tile = {
      columns,
      width: Math.min(MOST.width, (width + GAP) / columns - GAP),
      height: Math.min(MOST.height, (height + GAP) / rows - GAP),
    };
    const score = Math.min(tile.width / LEAST.width, tile.height / LEAST.height);
    if (!best || score >= best.score) best = { ...tile, score };
  }
  best.height = Math.max(LEAST.height, best.height);
  return best;
}
