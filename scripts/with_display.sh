#!/usr/bin/env bash
# Run a command with a display: a virtual one (Xvfb) where there is, else the one at hand.
# Tests prefer the virtual one, so that no window steals the focus of whoever sits there.
set -euo pipefail

if command -v xvfb-run >/dev/null; then
  # Qt would take Wayland, and the visible desktop, over the virtual X display.
  unset WAYLAND_DISPLAY
  exec xvfb-run --auto-servernum --server-args="-screen 0 1600x1200x24" "$@"
fi
exec "$@"
