package dev.partita.image.filesystem;

import dev.partita.image.ImageException;

/// A partition table or a file system that contradicts itself, or uses what is not understood.
public final class MalformedFileSystemException extends ImageException {
  private static final long serialVersionUID = 1L;

  public MalformedFileSystemException(String message) {
    super(message);
  }
}
