package dev.partita.engine.software;

/// Control instructions of the x87 unit: control and status word, environment, whole state. None of
/// them changes the instruction and data pointers by itself.
final class X87Control extends X87Operation {
  static final int NOTHING = 0;
  static final int LOAD_CONTROL = 1;
  static final int STORE_CONTROL = 2;
  static final int STORE_STATUS = 3;
  static final int STORE_STATUS_AX = 4;
  static final int CLEAR_EXCEPTIONS = 5;
  static final int INITIALIZE = 6;
  static final int LOAD_ENVIRONMENT = 7;
  static final int STORE_ENVIRONMENT = 8;
  static final int RESTORE = 9;
  static final int SAVE = 10;

  private final int kind;
  private final boolean small;

  X87Control(Instruction i, int kind) {
    super(i);
    this.kind = kind;
    this.small = i.operandSize == 16;
  }

  @Override
  void execute(Cpu c) {
    c.requireX87();
    var x = c.x87;
    switch (kind) {
      case LOAD_CONTROL -> {
        x.checkPending(c);
        x.setControl(operand().load16(c));
      }
      case STORE_CONTROL -> operand().store16(c, x.control);
      case STORE_STATUS -> operand().store16(c, x.statusWord());
      case STORE_STATUS_AX -> c.set16(Cpu.RAX, x.statusWord());
      case CLEAR_EXCEPTIONS -> x.status &= ~(X87.EXCEPTIONS | X87.STACK_FAULT);
      case INITIALIZE -> x.initialize();
      case LOAD_ENVIRONMENT -> {
        x.checkPending(c);
        X87Environment.load(c, operand(), small, false);
      }
      case STORE_ENVIRONMENT -> X87Environment.store(c, operand(), small, false);
      case RESTORE -> {
        x.checkPending(c);
        X87Environment.load(c, operand(), small, true);
      }
      case SAVE -> X87Environment.store(c, operand(), small, true);
      default -> {}
    }
  }

  /// WAIT: raises a pending exception.
  static final class Wait extends Operation {
    @Override
    void execute(Cpu c) {
      if ((c.cr0 & (Cpu.CR0_MP | Cpu.CR0_TS)) == (Cpu.CR0_MP | Cpu.CR0_TS)) {
        throw c.raise(GuestFault.DEVICE_NOT_AVAILABLE);
      }
      c.x87.checkPending(c);
    }
  }
}
