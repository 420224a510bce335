//! The admin page in Chromium, from the code on the box's console on: an admin lets people in and takes them off.

use anyhow::{Context, Result};
use fantoccini::Locator;
use pttd_tests::browser::{Browser, Turn, turn};
use pttd_tests::microphone::{ANNA, BEN, CARLA};
use pttd_tests::site::{Site, site};
use url::Url;

/// A browser in which the first admin has set the box up, on the admin page.
async fn first_admin(turn: &Turn, site: &Site) -> Result<Browser> {
    let line = site.logs(&["setup code", "code="]).await?;
    let code = line.split("code=").nth(1).context("a code")?;
    let code = code.split_whitespace().next().context("a code")?;
    let ada = turn.browser(CARLA, Some(&site.ready.spki)).await?;
    ada.page.goto(&site.url("/setup")).await?;
    ada.until("pttd.state === 'asked'").await?;
    types(&ada, "#code", "WRONG-WRONG").await?;
    types(&ada, "#name", "Ada").await?;
    click(&ada, "#set-up-go").await?;
    ada.until("pttd.state === 'asked' && pttd.lastError")
        .await?;
    types(&ada, "#code", &code.trim_matches('"').replace('-', "")).await?;
    click(&ada, "#set-up-go").await?;
    let admin = Url::parse(&site.url("/admin"))?;
    ada.page.wait().for_url(&admin).await?;
    shows(&ada, "people").await?;
    Ok(ada)
}

async fn click(browser: &Browser, element: &str) -> Result<()> {
    let element = browser.page.wait().for_element(Locator::Css(element));
    element.await?.click().await.context("clicking")
}

/// In place of what stands in the field, marked as a person would: cleared, it would be left and asked for.
async fn types(browser: &Browser, field: &str, text: &str) -> Result<()> {
    let field = browser.page.wait().for_element(Locator::Css(field)).await?;
    let text = format!("{CONTROL}a{RELEASED}{text}");
    field.send_keys(&text).await.context("typing")
}

/// WebDriver's names for keys.
const CONTROL: char = '\u{e009}';
const RELEASED: char = '\u{e000}';

/// By script: a right's select lies unseen over its sign, and WebDriver presses nothing unseen.
async fn chooses(browser: &Browser, select: &str, value: &str) -> Result<()> {
    let select = format!("document.querySelector({select:?})");
    browser.until(&select).await?;
    let script = format!(
        "{select}.value = {value:?}; {select}.dispatchEvent(new Event('change', {{ bubbles: true }}))"
    );
    browser.js(&script).await.map(drop)
}

/// Opens a section and waits for what the box says of it.
async fn shows(browser: &Browser, tab: &str) -> Result<()> {
    let open = format!("pttd.state === 'ready' && document.querySelector('[data-tab={tab}]')");
    browser.until(&open).await?;
    click(browser, &format!("#tabs [data-tab={tab}]")).await?;
    browser
        .until(&format!("pttd.tab === '{tab}' && pttd.loaded"))
        .await
}

async fn row_with(browser: &Browser, table: &str, name: &str) -> Result<String> {
    let find = format!(
        "[...document.querySelectorAll('[data-table=\"{table}\"] [data-row]')]
            .find((row) => [row.textContent, row.querySelector('[data-field=name]')?.value].join(' ').includes('{name}'))"
    );
    browser
        .until(&find)
        .await
        .with_context(|| format!("{name} in {table}"))?;
    let id = browser.js(&format!("return ({find}).dataset.row")).await?;
    let id = id.as_str().context("a row's id")?;
    Ok(format!("[data-table=\"{table}\"] [data-row=\"{id}\"]"))
}

/// The link on the invitation that is shown, which is put away then.
async fn link_shown(browser: &Browser) -> Result<String> {
    browser
        .until("document.querySelector('#card [data-field=link]')?.value")
        .await?;
    let link = "return document.querySelector('#card [data-field=link]').value";
    let link = browser.js(link).await?;
    click(browser, "#card [data-action=close]").await?;
    Ok(link.as_str().context("a link")?.to_string())
}

/// Does what asks once, and answers that it is meant.
async fn takes_away(browser: &Browser, row: &str, action: &str, name: &str) -> Result<()> {
    click(browser, &format!("{row} [data-action={action}]")).await?;
    let question = browser.reads("#ask h2").await?;
    assert!(question.contains(name), "{question}");
    click(browser, "#ask [data-action=sure]").await?;
    let gone = format!(
        "!document.querySelector('#ask') && !pttd.asking && !document.querySelector({row:?})"
    );
    browser.until(&gone).await
}

async fn is_turned_out(browser: &Browser) -> Result<()> {
    browser.until("pttd.link === 'signed-out'").await?;
    browser
        .until("document.querySelector('#app').dataset.view === 'sign-in'")
        .await
}

#[tokio::test]
async fn an_admin_adds_a_person_who_is_in_at_once_and_out_at_once() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let ada = first_admin(&turn, &site).await?;

    click(&ada, "#section [data-action=add]").await?;
    types(&ada, "#add-person [name=name]", "Noor").await?;
    chooses(&ada, "#add-person [data-channel=ops]", "talk").await?;
    chooses(&ada, "#add-person [data-channel=stage]", "listen").await?;
    click(&ada, "#add-person [data-action=make]").await?;
    let link = link_shown(&ada).await?;
    let row = row_with(&ada, "people", "Noor").await?;

    let noor = turn.browser(ANNA, Some(&site.ready.spki)).await?;
    noor.page.goto(&link).await?;
    noor.is_ready().await?;
    assert_eq!(
        noor.js("return Object.keys(pttd.channels).sort()").await?,
        serde_json::json!(["ops", "stage"])
    );

    // A right that is changed on the page is changed on Noor's.
    chooses(
        &ada,
        &format!("{row} [data-field='right:security']"),
        "talk",
    )
    .await?;
    noor.until("pttd.channels.security").await?;
    chooses(
        &ada,
        &format!("{row} [data-field='right:security']"),
        "none",
    )
    .await?;
    noor.until("!pttd.channels.security").await?;

    takes_away(&ada, &row, "remove", "Noor").await?;
    is_turned_out(&noor).await?;
    let words = noor.reads("#sign-in").await?;
    assert!(words.contains("no longer on the list"), "{words}");
    ada.until("document.querySelector('#log').textContent.includes('Noor')")
        .await?;
    ada.has_no_complaints().await
}

#[tokio::test]
async fn a_device_that_is_locked_out_is_out_and_its_owner_stays() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let ada = first_admin(&turn, &site).await?;
    let row = row_with(&ada, "people", "Ben").await?;
    click(&ada, &format!("{row} [data-action=invite]")).await?;
    click(&ada, "#invite [data-action=make]").await?;
    let link = link_shown(&ada).await?;
    let ben = turn.browser(BEN, Some(&site.ready.spki)).await?;
    ben.page.goto(&link).await?;
    ben.is_ready().await?;

    shows(&ada, "devices").await?;
    let device = row_with(&ada, "devices", "Ben").await?;
    takes_away(&ada, &device, "lock-out", "Ben").await?;
    ben.until("['kicked', 'signed-out'].includes(pttd.link)")
        .await?;
    // Nor does it come back.
    ben.page.refresh().await?;
    is_turned_out(&ben).await?;
    shows(&ada, "people").await?;
    row_with(&ada, "people", "Ben").await?;
    ada.has_no_complaints().await
}

#[tokio::test]
async fn what_the_box_refuses_is_said_at_the_row_and_set_up_is_over() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let ada = first_admin(&turn, &site).await?;
    let row = row_with(&ada, "people", "Ada").await?;
    // The last admin stays one, is told so where they were asked, and the field shows what is so.
    chooses(&ada, &format!("{row} [data-field=role]"), "user").await?;
    click(&ada, "#ask [data-action=sure]").await?;
    ada.until("document.querySelector('#ask .error').textContent.includes('only admin')")
        .await?;
    click(&ada, "#ask [data-action=keep]").await?;
    let role = format!("return document.querySelector({row:?} + ' [data-field=role]').value");
    assert_eq!(ada.js(&role).await?, "admin");

    shows(&ada, "channels").await?;
    let queue = "[data-row=ops] [data-field=queueDepth]";
    types(&ada, queue, "33\n").await?;
    ada.until("document.querySelector('[data-row=ops] + .failure')")
        .await?;
    types(&ada, queue, "7\n").await?;
    ada.until("!document.querySelector('.failure') && !pttd.asking")
        .await?;

    ada.page.goto(&site.url("/setup")).await?;
    ada.until("pttd.state === 'over'").await?;
    let words = ada.reads("#set-up-words").await?;
    assert!(words.contains("has an admin"), "{words}");
    Ok(())
}
