package dev.partita.hypervisor;

import java.util.List;
import java.util.Optional;

/// One virtual machine as the engine sees it: memory, virtual processors, and a way in for
/// interrupts. All methods may be called from any thread.
public interface Partition extends AutoCloseable {
  PartitionConfiguration configuration();

  default GuestMemory memory() {
    return configuration().memory();
  }

  /// The virtual processors, by index. The list never changes.
  List<VirtualProcessor> processors();

  /// Whether the engine brings local APICs of its own. If not, it uses those that {@link
  /// PartitionConfiguration#interruptControllers()} made.
  boolean hasLocalApics();

  /// Delivers a message-signalled interrupt, as a write of `data` to `address` on the bus would.
  ///
  /// @param address 0xFEExxxxx (Intel SDM volume 3, "Message Address Register Format")
  /// @param data the low 16 bits: vector, delivery mode, level and trigger
  void signalMsi(long address, int data);

  /// Sets the level of the legacy interrupt line (the 8259's INTR) into the boot processor. While
  /// it is high and the guest accepts it, the engine asks the handler for the vector with {@link
  /// Intercept.ExternalInterrupt}.
  void setExternalInterrupt(boolean asserted);

  /// Port writes that are signals, if this engine has them; without them such writes are
  /// intercepts.
  default Optional<Doorbells> doorbells() {
    return Optional.empty();
  }

  /// Stops every processor (each {@link VirtualProcessor#run} returns {@link RunExit#CANCELLED}),
  /// and frees what the engine holds. Memory stays its owner's. Idempotent.
  @Override
  void close();
}
