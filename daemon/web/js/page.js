// What the talk page knows beside its link and its session: the parts change it, the view draws it.

export const page = {
  /** The id of the channel that is heard and talked on. */
  selected: null,
  /** A tap talks until the next tap. */
  latch: false,
  /** The emergency key is down and its ring grows. */
  emergencyHeld: false,
};
