package dev.partita.image;

/// Hears how far the making of a guest's files has come. Called on the thread that makes them, a
/// few times a second at most for each stage; it must not block for long and must not throw.
@FunctionalInterface
public interface Progress {
  /// Hears nothing.
  Progress NONE = (stage, done, total) -> {};

  /// Reports one step.
  ///
  /// @param stage what is being done, as a person reads it: `Downloading linux-image-...`
  /// @param done bytes done in this stage, at least 0; equal to `total` at the stage's end
  /// @param total bytes in all, or 0 when that is not known
  void update(String stage, long done, long total);
}
