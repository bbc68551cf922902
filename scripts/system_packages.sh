#!/usr/bin/env bash
# Make sure of the system libraries that Qt and OpenGL need, and of a virtual display.
# Usage: system_packages.sh window [display]
#   window    what a napari window needs; only a remark when missing where no display is in use
#   display   Xvfb as well, for tests; not needed where a display is in use
# Missing ones are installed through apt by root; otherwise the line to run is printed.
# macOS and Windows bring all of this along.
set -euo pipefail

[ "$(uname -s)" = Linux ] || exit 0

has_display=no
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then has_display=yes; fi

missing=()   # Debian packages
lacking=()   # what was looked for, for systems that name their packages otherwise

# ldconfig is outside an ordinary user's PATH on Debian.
libraries=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null || true)

need_library() {  # soname, Debian package
  case "$libraries" in
    *"$1 "*) ;;
    *) lacking+=("$1"); missing+=("$2") ;;
  esac
}

need_command() {  # command, Debian package
  command -v "$1" >/dev/null || { lacking+=("$1"); missing+=("$2"); }
}

for part in "$@"; do
  case "$part" in
    window)
      # Qt itself
      need_library libEGL.so.1 libegl1
      need_library libGL.so.1 libgl1
      need_library libglib-2.0.so.0 libglib2.0-0
      need_library libfontconfig.so.1 libfontconfig1
      need_library libdbus-1.so.3 libdbus-1-3
      # its X11 platform plugin
      need_library libxkbcommon-x11.so.0 libxkbcommon-x11-0
      need_library libxcb-cursor.so.0 libxcb-cursor0
      need_library libxcb-icccm.so.4 libxcb-icccm4
      need_library libxcb-image.so.0 libxcb-image0
      need_library libxcb-keysyms.so.1 libxcb-keysyms1
      need_library libxcb-randr.so.0 libxcb-randr0
      need_library libxcb-render-util.so.0 libxcb-render-util0
      need_library libxcb-shape.so.0 libxcb-shape0
      need_library libxcb-xkb.so.1 libxcb-xkb1
      ;;
    display)
      if [ "$has_display" = no ]; then
        need_command xvfb-run xvfb
        need_command xauth xauth
      fi
      ;;
    *) echo "system_packages.sh: unknown part '$part', expected window or display" >&2; exit 2 ;;
  esac
done

[ ${#missing[@]} -gt 0 ] || exit 0

if command -v apt-get >/dev/null; then
  if [ "$(id -u)" = 0 ]; then
    echo "Installing system packages: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    exec apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null
  fi
  remedy="run: sudo apt-get install -y --no-install-recommends ${missing[*]}"
else
  remedy="install them with your package manager (Debian's names: ${missing[*]})"
fi

if [ "$has_display" = no ] && [ "$*" = window ]; then
  echo "No display, so no napari window. For one, this system lacks ${lacking[*]}; $remedy" >&2
  exit 0
fi
echo "This system lacks ${lacking[*]}; $remedy" >&2
exit 1
