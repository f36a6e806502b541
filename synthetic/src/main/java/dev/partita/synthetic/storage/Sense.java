package dev.partita.synthetic.storage;

import java.util.Arrays;

/// Sense data: why a command failed, or what has changed (SPC-4, 4.5).
///
/// @param key sense key, 0 to 15
/// @param code additional sense code, 0 to 255
/// @param qualifier additional sense code qualifier, 0 to 255
public record Sense(int key, int code, int qualifier) {
  /// Bytes of the fixed format (SPC-4, 4.5.3).
  static final int SIZE = 18;

  private static final int NO_SENSE = 0;
  private static final int NOT_READY = 2;
  private static final int MEDIUM_ERROR = 3;
  private static final int HARDWARE_ERROR = 4;
  private static final int ILLEGAL_REQUEST = 5;
  private static final int UNIT_ATTENTION = 6;
  private static final int DATA_PROTECT = 7;
  private static final int MISCOMPARE = 0xE;

  // Additional sense codes with their qualifiers: SPC-4, annex F.
  static final Sense NONE = new Sense(NO_SENSE, 0, 0);
  static final Sense MEDIUM_NOT_PRESENT = new Sense(NOT_READY, 0x3A, 0x00);
  static final Sense MEDIUM_NOT_PRESENT_TRAY_OPEN = new Sense(NOT_READY, 0x3A, 0x02);
  static final Sense WRITE_ERROR = new Sense(MEDIUM_ERROR, 0x0C, 0x00);
  static final Sense UNRECOVERED_READ_ERROR = new Sense(MEDIUM_ERROR, 0x11, 0x00);
  static final Sense INTERNAL_TARGET_FAILURE = new Sense(HARDWARE_ERROR, 0x44, 0x00);
  static final Sense PARAMETER_LIST_LENGTH_ERROR = new Sense(ILLEGAL_REQUEST, 0x1A, 0x00);
  static final Sense INVALID_OPERATION_CODE = new Sense(ILLEGAL_REQUEST, 0x20, 0x00);
  static final Sense OUT_OF_RANGE = new Sense(ILLEGAL_REQUEST, 0x21, 0x00);
  static final Sense INVALID_FIELD_IN_CDB = new Sense(ILLEGAL_REQUEST, 0x24, 0x00);
  static final Sense UNIT_NOT_SUPPORTED = new Sense(ILLEGAL_REQUEST, 0x25, 0x00);
  static final Sense INVALID_FIELD_IN_PARAMETERS = new Sense(ILLEGAL_REQUEST, 0x26, 0x00);
  static final Sense SAVING_NOT_SUPPORTED = new Sense(ILLEGAL_REQUEST, 0x39, 0x00);
  static final Sense REMOVAL_PREVENTED = new Sense(ILLEGAL_REQUEST, 0x53, 0x02);
  static final Sense ILLEGAL_MODE_FOR_TRACK = new Sense(ILLEGAL_REQUEST, 0x64, 0x00);
  static final Sense MEDIUM_CHANGED = new Sense(UNIT_ATTENTION, 0x28, 0x00);
  static final Sense BUS_RESET = new Sense(UNIT_ATTENTION, 0x29, 0x02);
  static final Sense WRITE_PROTECTED = new Sense(DATA_PROTECT, 0x27, 0x00);
  static final Sense SPACE_ALLOCATION_FAILED = new Sense(DATA_PROTECT, 0x27, 0x07);
  static final Sense MISCOMPARED = new Sense(MISCOMPARE, 0x1D, 0x00);

  public Sense {
    if ((key & ~0xF) != 0 || (code & ~0xFF) != 0 || (qualifier & ~0xFF) != 0) {
      throw new IllegalArgumentException("sense %d %d %d".formatted(key, code, qualifier));
    }
  }

  /// Key, code and qualifier as the standards write them: `5/24/00`.
  @Override
  public String toString() {
    return "%X/%02X/%02X".formatted(key, code, qualifier);
  }

  boolean isIllegalRequest() {
    return key == ILLEGAL_REQUEST;
  }

  /// The fixed format: response code 70h, current error.
  byte[] bytes() {
    var bytes = new byte[SIZE];
    bytes[0] = 0x70;
    bytes[2] = (byte) key;
    bytes[7] = SIZE - 8;
    bytes[12] = (byte) code;
    bytes[13] = (byte) qualifier;
    return bytes;
  }

  /// The descriptor format without descriptors: response code 72h (SPC-4, 4.5.2).
  byte[] descriptorBytes() {
    var bytes = new byte[8];
    bytes[0] = 0x72;
    bytes[1] = (byte) key;
    bytes[2] = (byte) code;
    bytes[3] = (byte) qualifier;
    return bytes;
  }

  /// At most so many bytes of the fixed format.
  byte[] bytes(int most) {
    return Arrays.copyOf(bytes(), Math.min(SIZE, most));
  }
}
