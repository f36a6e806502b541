package dev.partita.hypervisor;

import java.util.Optional;

/// Port writes that are signals and nothing else: the engine rings for them by itself, without an
/// intercept, and on hardware without leaving guest code. An optional part of a {@link Partition}.
///
/// All methods may be called from any thread.
public interface Doorbells {
  /// Makes a write of one value to one port a signal.
  ///
  /// From now on such a write by any processor, whatever its mode and privilege, calls `ring`
  /// soon instead of the {@link InterceptHandler}: on some thread, maybe on several at once, and
  /// once for several writes that follow each other closely. The processor may run on before. What
  /// the guest wrote to memory before it rang is seen by `ring`.
  ///
  /// While a bell is put up or taken away a write may come as an {@link Intercept.PortWrite}: the
  /// handler has to do the same. After the processors have stopped, a ring may still be under way.
  ///
  /// @param port 0 to 0xFFFF
  /// @param size bytes: 1, 2 or 4; a write of another size is no signal
  /// @param value all `size` bytes, zero-extended
  /// @param ring must not block for long, and must not throw
  /// @return empty if the engine has no room for another: then writes come as intercepts
  /// @throws IllegalStateException if the same write rings already
  Optional<Doorbell> add(int port, int size, int value, Runnable ring);

  /// One signal. Closing it ends it: writes come as intercepts again; a ring under way completes.
  /// Idempotent; a closed partition has closed it already.
  interface Doorbell extends AutoCloseable {
    @Override
    void close();
  }
}
