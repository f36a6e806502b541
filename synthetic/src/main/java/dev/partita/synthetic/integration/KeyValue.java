package dev.partita.synthetic.integration;

/// A named value that host and guest exchange.
///
/// @param value as text; the numbers that some guests have are decimal
public record KeyValue(String key, String value) {
  /// Bytes of a key in a message.
  static final int KEY_FIELD = 512;

  /// Bytes of a value in a message.
  static final int VALUE_FIELD = 2048;

  /// Where a value is kept (Linux, `enum hv_kvp_exchg_pool`). A pool's name tells its origin as
  /// seen from the guest. Linux keeps them in `/var/lib/hyperv/.kvp_pool_N`, Windows in the
  /// registry under `HKLM\SOFTWARE\Microsoft\Virtual Machine`.
  public enum Pool {
    /// What the host's administrator gives the guest.
    EXTERNAL,
    /// What programs in the guest give the host.
    GUEST,
    /// What the guest's system tells of itself. Read-only.
    AUTO,
    /// What the host tells of itself by itself.
    AUTO_EXTERNAL
  }

  /// Whether it can be a key: 1 to 255 characters, at most 511 bytes in UTF-8, none of them a
  /// control character.
  public static boolean isKey(String text) {
    return !text.isEmpty()
        && WideText.fits(text, KEY_FIELD, KEY_FIELD)
        && text.chars().noneMatch(Character::isISOControl);
  }

  /// Whether it can be a value: up to 1,023 characters, at most 2,047 bytes in UTF-8, without
  /// U+0000.
  public static boolean isValue(String text) {
    return WideText.fits(text, VALUE_FIELD, VALUE_FIELD);
  }
}
