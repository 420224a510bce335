//! The talk page as the person in front of it uses it.

use anyhow::{Context, Result};
use fantoccini::Locator;
use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use serde_json::Value;

use crate::browser::{Browser, PATIENCE, Turn};
use crate::microphone::Voice;
use crate::site::Site;

impl Turn {
    /// A browser on the talk page, signed in with an invitation of its own, its sound connected.
    pub async fn page(&self, site: &Site, voice: Voice) -> Result<Browser> {
        let browser = self.browser(voice, Some(&site.ready.spki)).await?;
        browser.page.goto(&site.invite(voice.user)?.link).await?;
        browser.is_ready().await?;
        Ok(browser)
    }
}

impl Turn {
    /// The same, on ops, with this for a microphone, and an ear on all the channel plays.
    pub async fn page_that_says(
        &self,
        site: &Site,
        voice: Voice,
        samples: &[f32],
    ) -> Result<Browser> {
        let browser = self.browser(voice, Some(&site.ready.spki)).await?;
        browser.keep_what_is_played(512).await?;
        browser.has_a_sentence_for_a_microphone().await?;
        browser.page.goto(&site.invite(voice.user)?.link).await?;
        browser.is_ready().await?;
        browser.keeps_the_channel().await?;
        browser.learns(samples).await?;
        Ok(browser)
    }
}

impl Browser {
    pub async fn is_ready(&self) -> Result<()> {
        self.until("pttd.connected && pttd.channels[pttd.selected].pc === 'connected'")
            .await
    }

    /// Puts an ear on what the selected channel plays.
    pub async fn listen_in(&self) -> Result<()> {
        let audio = "document.querySelector(`#sound audio[data-channel=\"${pttd.selected}\"]`)";
        self.until(&format!("{audio}.srcObject.getAudioTracks().length"))
            .await?;
        self.listen(&format!("{audio}.srcObject.getAudioTracks()[0]"))
            .await
    }

    async fn point(&self, element: &str, action: PointerAction) -> Result<()> {
        // A page draws a moment after it knows.
        let element = self
            .page
            .wait()
            .at_most(PATIENCE)
            .for_element(Locator::Css(element))
            .await?;
        let to = PointerAction::MoveToElement {
            element,
            duration: None,
            x: 0.0,
            y: 0.0,
        };
        let mouse = MouseActions::new("mouse".into()).then(to).then(action);
        self.page.perform_actions(mouse).await.context("pointing")
    }

    /// Puts the finger down and keeps it there.
    pub async fn hold(&self, element: &str) -> Result<()> {
        self.point(
            element,
            PointerAction::Down {
                button: MOUSE_BUTTON_LEFT,
            },
        )
        .await
    }

    pub async fn let_go(&self, element: &str) -> Result<()> {
        self.point(
            element,
            PointerAction::Up {
                button: MOUSE_BUTTON_LEFT,
            },
        )
        .await
    }

    pub async fn tap(&self, element: &str) -> Result<()> {
        self.hold(element).await?;
        self.let_go(element).await
    }

    /// Holds the button until the page says it is on air.
    pub async fn goes_on_air(&self) -> Result<()> {
        self.hold("#talk-button").await?;
        self.button("onair").await
    }

    pub async fn releases(&self) -> Result<()> {
        self.let_go("#talk-button").await
    }

    /// Waits until the button looks like this.
    pub async fn button(&self, state: &str) -> Result<()> {
        self.until(&format!(
            "document.querySelector('#talk-button').dataset.state === '{state}'"
        ))
        .await
        .with_context(|| format!("{}'s button should be {state}", self.voice.user))
    }

    /// The words a person reads there.
    pub async fn reads(&self, element: &str) -> Result<String> {
        let element = self.page.find(Locator::Css(element)).await?;
        Ok(element.text().await?)
    }

    /// Nothing went wrong that only a developer would see.
    pub async fn has_no_complaints(&self) -> Result<()> {
        let complaints = self.complaints().await?;
        anyhow::ensure!(
            complaints == Value::Array(vec![]),
            "{}: {complaints}",
            self.voice.user
        );
        Ok(())
    }
}
