// Every word of the landing page, in one place so that another language is one more file like this.

const crt = { href: '/ca.crt', download: 'pttd-ca.crt', text: 'Download the certificate' };

export const words = {
  visit: 'First visit on this device',
  why: 'A browser gives the microphone only to pages whose certificate it trusts. This box has made its own, because it must work without the Internet; so this device has to be told once to trust it. That takes about a minute.',
  setUp: 'Tell this device to trust the box',
  others: 'Another device? Steps for every system',
  secure: {
    checking: ['Checking the secure connection …', 'This takes a moment.'],
    waiting: ['Not trusted on this device yet', 'Follow the steps below. This turns green by itself as soon as they are done.'],
    good: ['Secure connection works', 'Nothing more to do here. This device will remember it.'],
    noBox: ['The box does not answer', 'Check that this device is on its Wi-Fi. Trying again …'],
    open: 'Open the talk page',
    join: 'Go on and join',
  },
  fingerprint: {
    title: 'Is it the right box?',
    words: 'Before you trust it, compare this fingerprint with the one on your card or on the box itself. If they differ, stop and tell whoever runs the box.',
  },
  share: {
    title: 'Another phone?',
    words: 'Let it join the same Wi-Fi and scan this.',
    alt: 'QR code of this page',
  },

  /** In the order they are listed; each step is a sentence, or a sentence with what to download. */
  platforms: {
    ios: {
      name: 'iPhone and iPad',
      steps: [
        'Open this page in Safari. Other browsers cannot install it.',
        { text: 'Tap this and choose Allow:', link: { href: '/ca.mobileconfig', text: 'Download the profile' } },
        'Open Settings. Tap “Profile Downloaded” near the top (or General > VPN & Device Management), then Install.',
        'There is a second switch: Settings > General > About > Certificate Trust Settings (at the very bottom). Switch on the one that ends in “push-to-talk CA”.',
        'Come back to this page.',
      ],
    },
    android: {
      name: 'Android',
      steps: [
        { text: 'Tap this. It goes to your downloads:', link: crt },
        'Open Settings and search for “CA certificate”. (Often: Security > More security settings > Encryption & credentials > Install a certificate > CA certificate.)',
        'Tap “Install anyway”, unlock the phone, and choose the file pttd-ca.crt.',
        'Come back to this page. Use Chrome, Edge or Samsung Internet; in Firefox, Settings > About Firefox, tap the logo five times, then switch on Secret Settings > Use third party CA certificates.',
      ],
    },
    windows: {
      name: 'Windows',
      steps: [
        { text: 'Download and open it:', link: crt },
        'Choose Install Certificate > Current User > “Place all certificates in the following store” > Browse > Trusted Root Certification Authorities.',
        'Choose Finish, and Yes when Windows shows the fingerprint.',
        'Come back to this page. If it stays as it is, close the browser once.',
      ],
    },
    macos: {
      name: 'Mac',
      steps: [
        { text: 'Download and open it. Keychain Access takes it into the login keychain:', link: crt },
        'In Keychain Access search for “push-to-talk”, open the certificate, unfold Trust, and choose “When using this certificate: Always Trust”.',
        'Close that window and give your password. Come back to this page.',
      ],
    },
    linux: {
      name: 'Linux',
      steps: [
        { text: 'Download it:', link: crt },
        'Chrome and Chromium: Settings > Privacy and security > Security > Manage certificates, then import it as a trusted certificate (authority) for websites.',
        'Firefox: Settings > Privacy & Security > View Certificates > Authorities > Import, and tick “identify websites”.',
        'Come back to this page.',
      ],
    },
    chromeos: {
      name: 'Chromebook',
      steps: [
        { text: 'Download it:', link: crt },
        'Settings > Privacy and security > Security > Manage certificates > Authorities > Import, and tick “identify websites”.',
        'Come back to this page.',
      ],
    },
  },
};

export const wordAt = (path) => path.split('.').reduce((at, key) => at[key], words);
