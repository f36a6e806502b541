package dev.partita.cli;

/// A guest does not do what it was asked, or does not answer.
final class GuestSaidNoException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  // HRESULTs.
  static final int FAILED = 0x8000_4005;
  static final int NOT_CONNECTED = 0x8007_048F;
  static final int NO_MORE_ITEMS = 0x8007_0103;
  static final int FILE_EXISTS = 0x8007_0050;
  static final int BUSY = 0x8007_00AA;
  static final int MACHINE_LOCKED = 0x8007_04F7;

  private final int status;
  private final String partition;
  private final String reason;

  GuestSaidNoException(int status, String partition, String reason) {
    super(partition + ": " + reason);
    this.status = status;
    this.partition = partition;
    this.reason = reason;
  }

  /// An HRESULT.
  int status() {
    return status;
  }

  /// The same, with what can be done.
  GuestSaidNoException with(String advice) {
    return new GuestSaidNoException(status, partition, reason + ": " + advice);
  }

  /// The same in other words.
  GuestSaidNoException instead(String words) {
    return new GuestSaidNoException(status, partition, words);
  }
}
