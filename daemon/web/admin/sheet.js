// A poster as it is printed. The box makes the sheet whole, styles included; a bearer header cannot be sent by a link and
// markup with styles in it may not run here, so it is fetched, and its styles are taken over as a style sheet.

import { path, sheet } from './api.js';

const id = decodeURIComponent(location.hash.slice(1));
try {
  const made = new DOMParser().parseFromString(await sheet(path`/posters/${id}/sheet`), 'text/html');
  const styles = new CSSStyleSheet();
  styles.replaceSync([...made.querySelectorAll('style')].map((style) => style.textContent).join('\n'));
  for (const style of made.querySelectorAll('style, script')) style.remove();
  document.adoptedStyleSheets = [styles];
  document.title = made.title;
  document.body.replaceChildren(...made.body.childNodes);
  document.body.dataset.ready = 'true';
  print();
} catch (refused) {
  document.querySelector('p').textContent = refused.message;
}
