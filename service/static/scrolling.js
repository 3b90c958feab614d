// Scrolling together: two panes show the same share of their texts.

const LEADS = ["wheel", "pointerdown", "touchstart", "keydown", "focusin"];

/** Makes the pane that the user does not scroll follow the one that the user scrolls. */
export class Together {
  constructor(one, other) {
    this.panes = [one, other];
    this.off = false; // a summary and its text do not go side by side
    this.leader = one;
    for (const pane of this.panes) {
      for (const kind of LEADS) {
        pane.addEventListener(kind, () => (this.leader = pane), { passive: true });
      }
      pane.addEventListener("scroll", () => {
        if (pane === this.leader) this.follow();
      });
    }
  }

  /** Bring the follower to where the leader is; call it when a text has changed. */
  follow() {
    if (this.off) return;
    const follower = this.panes.find((pane) => pane !== this.leader);
    const share = this.leader.scrollTop / Math.max(hidden(this.leader), 1);
    follower.scrollTop = share * hidden(follower);
  }
}

function hidden(pane) {
  return pane.scrollHeight - pane.clientHeight;
}
