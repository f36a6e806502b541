package dev.partita.chipset.interrupt;

/// The board's interrupt wiring: each input goes to a pin of the I/O APIC and, if it is an ISA
/// interrupt, to the 8259 pair. As on every PC the timer's IRQ 0 is at pin 2, and pin 0 is the
/// 8259's output.
public final class InterruptRouter {
  /// The global system interrupt of ISA IRQ 0; MADT tells the guest.
  public static final int TIMER_GSI = 2;

  private final PicPair pic;
  private final IoApic ioApic;
  private final Input[] inputs = new Input[IoApic.PINS];

  public InterruptRouter(PicPair pic, IoApic ioApic) {
    this.pic = pic;
    this.ioApic = ioApic;
    for (int gsi = 0; gsi < inputs.length; gsi++) {
      inputs[gsi] = new Input(gsi);
    }
  }

  /// A new line into a global system interrupt, not asserted.
  ///
  /// @param gsi 1 to 23
  public InterruptLine line(int gsi) {
    if (gsi < 1 || gsi >= IoApic.PINS) {
      throw new IllegalArgumentException("global system interrupt " + gsi + " is not in 1..23");
    }
    return new Line(inputs[gsi]);
  }

  /// A new line into an ISA interrupt, not asserted.
  ///
  /// @param irq 0 to 15, not 2
  public InterruptLine isa(int irq) {
    if (irq < 0 || irq > 15 || irq == 2) {
      throw new IllegalArgumentException("ISA interrupt " + irq);
    }
    return line(irq == 0 ? TIMER_GSI : irq);
  }

  private final class Input {
    private final int gsi;
    private int assertedLines;

    Input(int gsi) {
      this.gsi = gsi;
    }

    /// With this input's monitor held, so that the controllers see changes in order.
    void change(boolean asserted) {
      assertedLines += asserted ? 1 : -1;
      if (assertedLines == (asserted ? 1 : 0)) {
        if (gsi < 16) {
          pic.setLine(gsi == TIMER_GSI ? 0 : gsi, asserted);
        }
        ioApic.setLine(gsi, asserted);
      }
    }
  }

  private static final class Line implements InterruptLine {
    private final Input input;
    private boolean level;

    Line(Input input) {
      this.input = input;
    }

    @Override
    public void set(boolean asserted) {
      synchronized (input) {
        if (asserted != level) {
          level = asserted;
          input.change(asserted);
        }
      }
    }
  }
}
