package dev.partita.enlightenment;

import jdk.jfr.Category;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/// A hypercall, for the flight recorder, with the time it took. Off unless a recording asks for it.
@Name("dev.partita.enlightenment.Hypercall")
@Label("Hypercall")
@Category({"Partita", "Guest Interface"})
@Enabled(false)
@StackTrace(false)
final class HypercallEvent extends Event {
  @Label("Processor")
  int processor;

  @Label("Code")
  int code;

  @Label("Status")
  int status;

  static HypercallEvent started() {
    var event = new HypercallEvent();
    event.begin();
    return event;
  }

  void answered(int processor, int code, int status) {
    end();
    if (shouldCommit()) {
      this.processor = processor;
      this.code = code;
      this.status = status;
      commit();
    }
  }
}
