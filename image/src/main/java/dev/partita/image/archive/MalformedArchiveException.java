package dev.partita.image.archive;

import dev.partita.image.ImageException;

/// The one thing a reader of this package throws at input that breaks its format, or asks for more
/// than {@link ArchiveLimits} allows.
public final class MalformedArchiveException extends ImageException {
  private static final long serialVersionUID = 1L;

  public MalformedArchiveException(String message) {
    super(message);
  }

  public MalformedArchiveException(String message, Throwable cause) {
    super(message, cause);
  }
}
