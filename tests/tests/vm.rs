//! pttd for ARM on real drivers, in a machine of its own: `make test-vm`. Timing there is loose: everything is emulated.

use anyhow::Result;
use pttd_tests::guest::Guest;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make test-vm builds what it boots"]
async fn smoke() -> Result<()> {
    let guest = Guest::boot("").await?;
    println!("{}", guest.sh("uname -a; date; pid run; cat /proc/cgroups; pull COR1 up; within 100 line_is COR1 1; rts_is 0; freeze; cat /frozen/reactor/freezer.state /frozen/reactor/tasks; thaw; cat /proc/$(pid run)/task/*/comm").await?);
    guest.watch("w", "COR1=/lines/COR1/value back=hw:Loopback,1,0").await?;
    guest.sh("pull COR1 down; sleep 0.2; pull COR1 up; aplay -q -D hw:Loopback,0,0 -t raw -f S16_LE -r 48000 -c 1 -d 1 /usr/bin/tone.raw; sleep 0.5; pull COR1 down; sleep 0.1").await?;
    println!("{:?}", guest.seen("w").await?);
    let mut anna = guest.phone_on("anna", "ops").await?;
    let mut ben = guest.phone_on("ben", "ops").await?;
    anna.press("ops").await?;
    ben.on("ops")?.hears(anna.tag, 20).await?;
    Ok(())
}
