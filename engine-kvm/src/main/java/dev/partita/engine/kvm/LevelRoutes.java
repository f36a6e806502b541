package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.partita.engine.kvm.Structures.Routing;
import java.lang.foreign.Arena;

/// The level-triggered messages whose end KVM is to tell (Documentation/virt/kvm/api.rst,
/// "KVM_CAP_SPLIT_IRQCHIP"): with its I/O APIC in user space, KVM exits at an EOI only for vectors
/// that it finds among the routes of the I/O APIC's pins.
///
/// Which pin a message came from is not known here, and is of no interest to KVM: any message
/// that is sent takes the place of the one that was sent longest ago and is not in service. There
/// are as many places as an I/O APIC has pins, and a pin has at most one message in service.
/// Thread-safe.
final class LevelRoutes {
  /// Pins of the I/O APIC.
  static final int PINS = 24;

  /// KVM_IRQ_ROUTING_MSI.
  private static final int TYPE_MSI = 2;

  private final KvmDescriptor machine;
  private final Route[] routes = new Route[PINS];
  private int count;
  private long clock;

  private static final class Route {
    final int address;
    final int data;
    long sent;
    boolean inService;

    Route(int address, int data) {
      this.address = address;
      this.data = data;
    }
  }

  LevelRoutes(KvmDescriptor machine) {
    this.machine = machine;
  }

  /// Makes sure that KVM will tell the end of a message that is sent next.
  synchronized void prepare(int address, int data) {
    var route = find(address, data);
    if (route == null) {
      route = new Route(address, data);
      routes[count < PINS ? count++ : oldest()] = route;
      install();
    }
    route.sent = ++clock;
    route.inService = true;
  }

  /// A processor ended a vector.
  synchronized void ended(int vector) {
    for (int i = 0; i < count; i++) {
      if ((routes[i].data & 0xFF) == vector) {
        routes[i].inService = false;
      }
    }
  }

  private @org.jspecify.annotations.Nullable Route find(int address, int data) {
    for (int i = 0; i < count; i++) {
      if (routes[i].address == address && routes[i].data == data) {
        return routes[i];
      }
    }
    return null;
  }

  private int oldest() {
    int best = 0;
    for (int i = 1; i < count; i++) {
      boolean better =
          routes[i].inService == routes[best].inService
              ? routes[i].sent < routes[best].sent
              : !routes[i].inService;
      if (better) {
        best = i;
      }
    }
    return best;
  }

  private void install() {
    try (var arena = Arena.ofConfined()) {
      var buffer = arena.allocate(Routing.SIZE + (long) count * Routing.ENTRY_SIZE, 8);
      buffer.set(JAVA_INT, Routing.COUNT, count);
      for (int i = 0; i < count; i++) {
        long entry = Routing.SIZE + (long) i * Routing.ENTRY_SIZE;
        buffer.set(JAVA_INT, entry + Routing.ENTRY_GSI, i);
        buffer.set(JAVA_INT, entry + Routing.ENTRY_TYPE, TYPE_MSI);
        buffer.set(JAVA_INT, entry + Routing.ENTRY_MSI_ADDRESS, routes[i].address);
        buffer.set(JAVA_INT, entry + Routing.ENTRY_MSI_DATA, routes[i].data);
      }
      machine.call(Ioctl.KVM_SET_GSI_ROUTING, buffer);
    }
  }
}
