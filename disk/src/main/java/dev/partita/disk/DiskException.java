package dev.partita.disk;

import java.io.IOException;

/// A disk file that is damaged, of an unknown kind, held by someone else, or asked for what its
/// format cannot do. The message names the file, what is wrong and where.
public final class DiskException extends IOException {
  private static final long serialVersionUID = 1;

  /// With the message for the operator.
  public DiskException(String message) {
    super(message);
  }

  /// With the message for the operator and what led to it.
  public DiskException(String message, Throwable cause) {
    super(message, cause);
  }
}
