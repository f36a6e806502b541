package dev.partita.engine.software;

import dev.partita.hypervisor.Doorbells;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/// The port writes that are signals. They ring on the thread of the processor that writes.
final class PortDoorbells implements Doorbells {
  private final Map<Write, Bell> bells = new ConcurrentHashMap<>();

  /// Which writes ring.
  private record Write(int port, int size, int value) {}

  private final class Bell implements Doorbell {
    private final Write write;
    private final Runnable ring;

    Bell(Write write, Runnable ring) {
      this.write = write;
      this.ring = ring;
    }

    @Override
    public void close() {
      bells.remove(write, this);
    }
  }

  @Override
  public Optional<Doorbell> add(int port, int size, int value, Runnable ring) {
    var write = new Write(port, size, value);
    var bell = new Bell(write, ring);
    if (bells.putIfAbsent(write, bell) != null) {
      throw new IllegalStateException(
          "a write of 0x%x to port 0x%x rings already".formatted(value, port));
    }
    return Optional.of(bell);
  }

  /// What a write rings, or null if it is no signal.
  @Nullable Runnable find(int port, int size, int value) {
    if (bells.isEmpty()) {
      return null;
    }
    var bell = bells.get(new Write(port, size, value));
    return bell == null ? null : bell.ring;
  }
}
