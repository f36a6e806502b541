package dev.partita.disk;

/// Hears what is wrong with a file's structures. Opening a disk throws at the first complaint;
/// checking one gathers them and goes on.
@FunctionalInterface
interface Complaints {
  /// Ends the opening.
  Complaints REFUSE =
      message -> {
        throw new DiskException(message);
      };

  void add(String message) throws DiskException;
}
