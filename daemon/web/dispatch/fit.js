// How large the tiles are: as large as all of them fit without scrolling, and never smaller than can be read and hit.

const FOR_A_MOUSE = { width: 140, height: 98 };
const FOR_A_FINGER = { width: 150, height: 136 };
const coarse = matchMedia('(pointer: coarse)');
// Less than this has room for one line of who talks.
const ROOMY = 124;
const MOST = { width: 300, height: 190 };
const GAP = 6;
const HEAD = 26;

/** `sizes`: how many tiles each group shows; `heads`: whether each group has a heading. */
export function fit(place, sizes, heads) {
  const style = getComputedStyle(place);
  const width = place.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const height = place.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  if (width <= 0) return;
  const least = coarse.matches ? FOR_A_FINGER : FOR_A_MOUSE;
  const best = choose(least, width, height - (heads ? sizes.length * (HEAD + GAP) : 0), sizes);
  place.style.setProperty('--columns', best.columns);
  place.dataset.lines = best.height < ROOMY || coarse.matches && best.height < ROOMY * 1.4 ? 1 : 2;
  place.style.setProperty('--tile-height', `${Math.floor(best.height)}px`);
  place.style.setProperty('--tile-width', `${Math.floor(best.width)}px`);
}

function choose(smallest, width, height, sizes) {
  const least = Math.min(smallest.width, (width - GAP) / 2);
  const most = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
  let best = null;
  for (let columns = 1; columns <= most; columns += 1) {
    const rows = sizes.reduce((sum, size) => sum + Math.ceil(size / columns), 0) || 1;
    const tile = {
      columns,
      width: Math.min(MOST.width, (width + GAP) / columns - GAP),
      height: Math.min(MOST.height, (height + GAP) / rows - GAP),
    };
    const score = Math.min(tile.width / smallest.width, tile.height / smallest.height);
    const wider = best && Math.abs(score - best.score) < 1e-6 && tile.width * tile.height >= best.width * best.height;
    if (!best || score > best.score + 1e-6 || wider) best = { ...tile, score };
  }
  best.height = Math.max(smallest.height, best.height);
  return best;
}
