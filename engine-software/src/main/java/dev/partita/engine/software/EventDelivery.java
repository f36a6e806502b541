package dev.partita.engine.software;

/// Delivery of exceptions and interrupts through the IDT (or the real-mode vector table).
final class EventDelivery {
  private EventDelivery() {}

  static void exception(Cpu c, GuestFault fault) {
    throw fault;
  }

  static void interrupt(Cpu c, int vector) {}

  static void nmi(Cpu c) {}

  static void singleStepTrap(Cpu c) {}

  static void checkInstructionBreakpoints(Cpu c, long linear) {}

  static boolean breakpointsArmed(Cpu c) {
    return false;
  }
}
