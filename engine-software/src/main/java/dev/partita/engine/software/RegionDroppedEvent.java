package dev.partita.engine.software;

import jdk.jfr.Category;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/// A region was given up, for the flight recorder.
@Name("dev.partita.engine.RegionDropped")
@Label("Region Dropped")
@Category({"Partita", "Software Engine"})
@StackTrace(false)
final class RegionDroppedEvent extends jdk.jfr.Event {
  @Label("RIP")
  String rip = "";

  @Label("Reason")
  String reason = "";

  @Label("Optimized")
  boolean optimized;

  @Label("Instructions Executed")
  long executed;
}
