package dev.partita.image;

import java.io.IOException;

/// Says why a guest's files could not be made. The message is one plain line for the person at the
/// terminal: what was wrong, where, and what to do.
public class ImageException extends IOException {
  private static final long serialVersionUID = 1L;

  public ImageException(String message) {
    super(message);
  }

  public ImageException(String message, Throwable cause) {
    super(message, cause);
  }
}
