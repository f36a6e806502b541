package dev.partita.synthetic.storage;

/// The packets between a guest's storage driver and the controller (Linux,
/// `drivers/scsi/storvsc_drv.c`: `struct vstor_packet`, `struct vmscsi_request`). Little-endian.
///
/// A packet has 64 bytes: operation, flags, status, and 52 bytes that depend on the operation.
final class VstorLayout {
  static final int SIZE = 64;

  static final int OPERATION = 0;
  static final int STATUS = 8;
  static final int BODY = 12;

  // Operations.
  static final int COMPLETE_IO = 1;
  static final int EXECUTE_SRB = 3;
  static final int RESET_LUN = 4;
  static final int RESET_ADAPTER = 5;
  static final int RESET_BUS = 6;
  static final int BEGIN_INITIALIZATION = 7;
  static final int END_INITIALIZATION = 8;
  static final int QUERY_PROTOCOL_VERSION = 9;
  static final int QUERY_PROPERTIES = 10;
  static final int ENUMERATE_BUS = 11;
  static final int CREATE_SUB_CHANNELS = 13;

  // The SCSI request block.
  static final int SRB_SIZE = 52;
  static final int SRB_LENGTH = BODY;
  static final int SRB_STATUS = BODY + 2;
  static final int SCSI_STATUS = BODY + 3;
  static final int PATH = BODY + 5;
  static final int TARGET = BODY + 6;
  static final int LUN = BODY + 7;
  static final int CDB_LENGTH = BODY + 8;
  static final int SENSE_LENGTH = BODY + 9;
  static final int TRANSFER_LENGTH = BODY + 12;
  static final int CDB = BODY + 16;
  static final int SENSE = BODY + 16;
  static final int LONGEST_CDB = 16;
  static final int LONGEST_SENSE = 20;

  // Properties.
  static final int MOST_SUB_CHANNELS = BODY + 4;
  static final int PROPERTY_FLAGS = BODY + 8;
  static final int MOST_TRANSFER = BODY + 12;

  /// STORAGE_CHANNEL_SUPPORTS_MULTI_CHANNEL.
  static final int MULTI_CHANNEL = 1;

  // Versions: major in the upper byte.
  static final int WINDOWS_8 = 0x0501;
  static final int WINDOWS_8_1 = 0x0600;
  static final int WINDOWS_10 = 0x0602;

  // What the status says ([MS-ERREF] 2.3.1, NTSTATUS).
  static final int STATUS_SUCCESS = 0;
  static final int STATUS_INVALID_PARAMETER = 0xC000_000D;
  static final int STATUS_INVALID_DEVICE_REQUEST = 0xC000_0010;
  static final int STATUS_REVISION_MISMATCH = 0xC000_0059;
  static final int STATUS_DEVICE_DOES_NOT_EXIST = 0xC000_00C0;
  static final int STATUS_INVALID_DEVICE_STATE = 0xC000_0184;
  static final int STATUS_IO_DEVICE_ERROR = 0xC000_0185;
  static final int STATUS_DEVICE_BUSY = 0x8000_0011;
  static final int STATUS_BUFFER_OVERFLOW = 0x8000_0005;

  private VstorLayout() {}
}
