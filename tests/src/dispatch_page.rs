//! The dispatch page as the dispatcher in front of it uses it.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use fantoccini::Locator;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};

use crate::browser::{Browser, PATIENCE, Turn};
use crate::microphone::Voice;
use crate::site::Site;
use crate::sound::{RATE, shares};

/// What is heard for so long counts.
const EAR: u64 = RATE as u64 / 2;

impl Turn {
    /// A browser on the dispatch page, signed in with an invitation of its own, at this position, with the
    /// sound of all its channels connected, and an ear on all it plays.
    pub async fn desk(&self, site: &Site, voice: Voice, position: &str) -> Result<Browser> {
        let browser = self.arriving(site, voice).await?;
        browser.sits_down(position).await?;
        browser.all_is_connected().await?;
        Ok(browser)
    }

    /// The same, before it has sat down anywhere.
    pub async fn arriving(&self, site: &Site, voice: Voice) -> Result<Browser> {
        let browser = self.browser(voice, Some(&site.ready.spki)).await?;
        browser.keep_what_is_played(512).await?;
        browser.page.set_window_size(1920, 1080).await?;
        let link = site.invite(voice.user)?.link;
        let link = link.replace("/#i=", "/dispatch#i=");
        browser.page.goto(&link).await?;
        browser
            .until("pttd.connected && document.querySelector('#position-dialog').open")
            .await?;
        Ok(browser)
    }
}

impl Browser {
    /// Sits down at a position, a new one or one that nobody holds.
    pub async fn sits_down(&self, position: &str) -> Result<()> {
        let name = self.page.find(Locator::Css("#position-name")).await?;
        name.clear().await?;
        name.send_keys(&format!("{position}\n")).await?;
        self.until(&format!("pttd.position === '{position}'")).await
    }

    /// Takes a position that another holds.
    pub async fn takes_over(&self, position: &str) -> Result<()> {
        let button = format!("#position-list button[data-position='{position}']");
        self.until(&format!("document.querySelector(\"{button}\")"))
            .await?;
        self.tap(&button).await?;
        self.until(&format!("pttd.position === '{position}'")).await
    }

    pub async fn all_is_connected(&self) -> Result<()> {
        self.until("pttd.connectedAt !== null").await
    }

    /// Mutes a channel, or hears it again.
    pub async fn toggles(&self, channel: &str) -> Result<()> {
        self.tap(&format!(".tile[data-channel={channel}] .listen"))
            .await
    }

    /// Waits until a tile shows this.
    pub async fn tile(&self, channel: &str, state: &str) -> Result<()> {
        self.until(&format!(
            "document.querySelector('.tile[data-channel={channel}]').dataset.state === '{state}'"
        ))
        .await
        .with_context(|| format!("the tile of {channel} should be {state}"))
    }

    async fn key(&self, action: KeyAction) -> Result<()> {
        let keys = KeyActions::new("keyboard".into()).then(action);
        self.page.perform_actions(keys).await.context("a key")
    }

    pub async fn key_down(&self, value: char) -> Result<()> {
        self.key(KeyAction::Down { value }).await
    }

    pub async fn key_up(&self, value: char) -> Result<()> {
        self.key(KeyAction::Up { value }).await
    }

    pub async fn types(&self, value: char) -> Result<()> {
        self.key_down(value).await?;
        self.key_up(value).await
    }

    /// Waits until it plays one of these tones and nothing else, for half a second; none: until it plays nothing.
    pub async fn plays_only(&self, tones: &[f64], which: Option<usize>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let from = self.played().await?;
            self.until(&format!("outputs.count() >= {}", from + EAR))
                .await?;
            let shares = shares(&self.played_since(from).await?, tones);
            let is = |(n, share): (usize, &f64)| match which == Some(n) {
                true => *share > 0.8,
                false => *share < 0.01,
            };
            if shares.iter().enumerate().all(is) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "it should play {which:?}, and plays {shares:.2?}"
            );
        }
    }
}
