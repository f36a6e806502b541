package dev.partita.synthetic.storage;

import org.jspecify.annotations.Nullable;

/// How a command ended.
///
/// @param status SCSI status (SAM-5, 5.3.1)
/// @param srbStatus status of the SCSI request block, without the flag for sense data
/// @param transferred bytes that were moved
/// @param sense why it failed, with {@link #CHECK_CONDITION}
record ScsiResult(int status, int srbStatus, int transferred, @Nullable Sense sense) {
  static final int GOOD = 0x00;
  static final int CHECK_CONDITION = 0x02;
  static final int BUSY = 0x08;

  // SRB_STATUS_ values of the Windows storage drivers (storport.h).
  static final int SRB_SUCCESS = 0x01;
  static final int SRB_ERROR = 0x04;
  static final int SRB_BUSY = 0x05;
  static final int SRB_INVALID_REQUEST = 0x06;
  static final int SRB_DATA_OVERRUN = 0x12;
  static final int SRB_INVALID_LUN = 0x20;

  /// A flag beside the status: there is sense data.
  static final int AUTOSENSE_VALID = 0x80;

  private static final ScsiResult DONE = new ScsiResult(GOOD, SRB_SUCCESS, 0, null);
  static final ScsiResult NO_UNIT = new ScsiResult(CHECK_CONDITION, SRB_INVALID_LUN, 0, null);
  static final ScsiResult TRY_LATER = new ScsiResult(BUSY, SRB_BUSY, 0, null);

  /// A request that describes no memory, or less than its command needs.
  static final ScsiResult BAD_BUFFER =
      new ScsiResult(CHECK_CONDITION, SRB_INVALID_REQUEST, 0, Sense.INVALID_FIELD_IN_CDB);

  static ScsiResult done() {
    return DONE;
  }

  static ScsiResult done(int transferred) {
    return transferred == 0 ? DONE : new ScsiResult(GOOD, SRB_SUCCESS, transferred, null);
  }

  static ScsiResult failed(Sense sense) {
    return new ScsiResult(
        CHECK_CONDITION, sense.isIllegalRequest() ? SRB_INVALID_REQUEST : SRB_ERROR, 0, sense);
  }

  boolean isGood() {
    return status == GOOD && srbStatus == SRB_SUCCESS;
  }

  /// The same for the packet as a whole.
  int ntStatus() {
    return switch (srbStatus) {
      case SRB_SUCCESS -> VstorLayout.STATUS_SUCCESS;
      case SRB_BUSY -> VstorLayout.STATUS_DEVICE_BUSY;
      case SRB_DATA_OVERRUN -> VstorLayout.STATUS_BUFFER_OVERFLOW;
      case SRB_INVALID_LUN -> VstorLayout.STATUS_DEVICE_DOES_NOT_EXIST;
      default -> VstorLayout.STATUS_IO_DEVICE_ERROR;
    };
  }
}
