package dev.partita.chipset.boot;

/// A kernel cannot be booted as asked. The message is one line for the operator.
public final class BootException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public BootException(String message) {
    super(message);
  }

  public BootException(String message, Throwable cause) {
    super(message, cause);
  }
}
