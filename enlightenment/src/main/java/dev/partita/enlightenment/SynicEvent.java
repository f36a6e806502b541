package dev.partita.enlightenment;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/// A message or an event signal that reaches a guest, for the flight recorder. Off unless a
/// recording asks for it.
@Name("dev.partita.enlightenment.Synic")
@Label("Synthetic Interrupt")
@Category({"Partita", "Guest Interface"})
@Enabled(false)
@StackTrace(false)
final class SynicEvent extends Event {
  @Label("Processor")
  int processor;

  @Label("Source")
  int source;

  @Label("Message Type")
  @Description("0 for an event signal")
  int messageType;

  @Label("Event Flag")
  @Description("-1 for a message")
  int flag;

  @Label("Interrupts")
  boolean interrupts;

  static void message(int processor, int source, int type, boolean interrupts) {
    tell(processor, source, type, -1, interrupts);
  }

  static void signal(int processor, int source, int flag, boolean interrupts) {
    tell(processor, source, 0, flag, interrupts);
  }

  private static void tell(int processor, int source, int type, int flag, boolean interrupts) {
    var event = new SynicEvent();
    if (event.shouldCommit()) {
      event.processor = processor;
      event.source = source;
      event.messageType = type;
      event.flag = flag;
      event.interrupts = interrupts;
      event.commit();
    }
  }
}
