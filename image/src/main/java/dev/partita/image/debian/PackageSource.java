package dev.partita.image.debian;

import dev.partita.image.ImageException;
import dev.partita.image.Progress;
import java.nio.file.Path;
import java.util.List;
import java.util.function.LongConsumer;

/// Where a guest's packages come from.
interface PackageSource {
  /// Thrown when an archive no longer has what its list offered: the list is old.
  final class StaleListException extends ImageException {
    private static final long serialVersionUID = 1L;

    StaleListException(String message) {
      super(message);
    }
  }

  /// Finds the packages that a guest needs: the kernel's, then BusyBox, then those of Hyper-V's
  /// daemons with the C library they need, where the archive has them.
  ///
  /// @param fresh whether to fetch the archive's lists first rather than use those at hand
  List<PackageRecord> resolve(boolean fresh, Progress progress) throws ImageException;

  /// Whether packages of an earlier guest are all that a guest of today is made of.
  boolean isComplete(List<PackageRecord> packages);

  /// Fetches a package.
  ///
  /// @param directory an empty directory for it
  /// @param done hears how many bytes are there, whenever that has changed
  /// @return the file, not verified yet
  Path fetch(PackageRecord wanted, Path directory, LongConsumer done) throws ImageException;
}
