package dev.partita.synthetic.input;

/// A key goes down or up, as a PC keyboard tells it in scan code set 1 (IBM PS/2 Hardware Interface
/// Technical Reference, "Keyboard and Auxiliary Device").
///
/// @param code the key's, 1 to 0x7F
/// @param prefix what comes before it
/// @param released whether the key goes up
public record Keystroke(int code, Prefix prefix, boolean released) {
  /// What distinguishes keys that share a code.
  public enum Prefix {
    NONE,
    /// The byte 0xE0: most keys that came with the 101-key keyboard.
    E0,
    /// The byte 0xE1: Pause.
    E1
  }

  public Keystroke {
    if (code < 1 || code > 0x7F) {
      throw new IllegalArgumentException("scan code 0x%x".formatted(code));
    }
  }
}
