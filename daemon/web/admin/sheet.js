// A poster as it is printed. The box makes the sheet whole, styles included; a bearer header cannot be sent by a link and
// markup with styles in it may not run here, so it is fetched, and its styles are taken over as a style sheet.

import { path, sheet } from './api.js';

const id = decodeURIComponent(location.hash.slice(1));
try {
  let css = '';
  const markup = (await sheet(path`/posters/${id}/sheet`)).replace(/<style>(.*?)<\/style>/gs, (_, found) => {
    css += found;
    return '';
  });
  const made = new DOMParser().parseFromString(markup, 'text/html');
  const styles = new CSSStyleSheet();
  styles.replaceSync(css);
  document.adoptedStyleSheets = [styles];
  document.title = made.title;
  document.body.replaceChildren(...made.body.childNodes);
  document.body.dataset.ready = 'true';
  print();
} catch (refused) {
  document.querySelector('p').textContent = refused.message;
}
