package dev.partita.engine.software;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.Period;
import jdk.jfr.StackTrace;

/// What the processors of all partitions have done so far, for the flight recorder.
@Name("dev.partita.engine.Tiers")
@Label("Tiers")
@Category({"Partita", "Software Engine"})
@Period("1 s")
@StackTrace(false)
final class TiersEvent extends jdk.jfr.Event {
  @Label("Instructions Interpreted")
  long interpreted;

  @Label("Instructions Translated")
  @Description("In regions of the quick compiler")
  long translated;

  @Label("Instructions Optimized")
  @Description("In regions of the optimizing compiler")
  long optimized;

  @Label("Regions")
  @Description("That may be entered now")
  long regions;

  @Label("Regions Made")
  long made;

  @Label("Regions Dropped")
  long dropped;

  @Label("TLB Misses")
  long tlbMisses;
}
