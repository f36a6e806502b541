package dev.partita.synthetic.integration;

/// A guest did not do what it was asked, or could not be asked. The status is an HRESULT, the
/// guest's own or one that tells what happened here.
public final class GuestRefusalException extends Exception {
  private static final long serialVersionUID = 1L;

  // MS-ERREF, section 2.1.1 and HRESULT_FROM_WIN32 of section 2.2; those that Linux's daemons use
  // are in include/uapi/linux/hyperv.h.
  /// E_FAIL.
  public static final int FAILED = 0x8000_4005;

  /// E_ACCESSDENIED.
  public static final int ACCESS_DENIED = 0x8007_0005;

  /// ERROR_INVALID_DATA: an answer that is none.
  public static final int INVALID_DATA = 0x8007_000D;

  /// ERROR_NOT_SUPPORTED.
  public static final int NOT_SUPPORTED = 0x8007_0032;

  /// ERROR_FILE_EXISTS.
  public static final int FILE_EXISTS = 0x8007_0050;

  /// ERROR_DISK_FULL.
  public static final int DISK_FULL = 0x8007_0070;

  /// ERROR_INVALID_PARAMETER.
  public static final int INVALID_ARGUMENT = 0x8007_0057;

  /// ERROR_BUSY: too much is asked at once.
  public static final int BUSY = 0x8007_00AA;

  /// ERROR_NO_MORE_ITEMS: also for a value that is not there.
  public static final int NO_MORE_ITEMS = 0x8007_0103;

  /// ERROR_MACHINE_LOCKED.
  public static final int MACHINE_LOCKED = 0x8007_04F7;

  /// ERROR_DEVICE_NOT_CONNECTED: no driver, or its helper in the guest does not run.
  public static final int NOT_CONNECTED = 0x8007_048F;

  /// ERROR_CANCELLED.
  public static final int CANCELLED = 0x8007_04C7;

  /// ERROR_TIMEOUT.
  public static final int TIMED_OUT = 0x8007_05B4;

  /// WBEM_E_NOT_FOUND.
  public static final int NOT_FOUND = 0x8004_1002;

  private final int status;

  /// @param status an HRESULT that tells of a failure
  public GuestRefusalException(int status) {
    super(words(status));
    this.status = status;
  }

  /// The HRESULT.
  public int status() {
    return status;
  }

  /// What an HRESULT means, in words that fit after "the guest: ".
  public static String words(int status) {
    return switch (status) {
      case FAILED -> "it could not do it, and does not say why";
      case ACCESS_DENIED -> "access denied";
      case INVALID_DATA -> "its answer makes no sense";
      case NOT_SUPPORTED -> "it does not support that";
      case FILE_EXISTS -> "the file exists already";
      case DISK_FULL -> "its disk is full";
      case INVALID_ARGUMENT -> "it does not accept that value";
      case BUSY -> "too much is asked of it at once";
      case NO_MORE_ITEMS, NOT_FOUND -> "there is no such value";
      case MACHINE_LOCKED -> "it is locked";
      case NOT_CONNECTED -> "its service for that is not running";
      case CANCELLED -> "it was told otherwise meanwhile";
      case TIMED_OUT -> "it does not answer";
      case 0x8007_0002 -> "there is no such file";
      case 0x8007_0003 -> "there is no such folder";
      case 0x8007_0020 -> "another program uses the file";
      case 0x8007_007B -> "it does not accept the name";
      default -> "error 0x%08X".formatted(status);
    };
  }
}
