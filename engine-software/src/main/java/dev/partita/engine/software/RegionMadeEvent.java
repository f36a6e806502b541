package dev.partita.engine.software;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/// Hot guest code was translated and compiled, for the flight recorder.
@Name("dev.partita.engine.RegionMade")
@Label("Region Made")
@Category({"Partita", "Software Engine"})
@StackTrace(false)
final class RegionMadeEvent extends jdk.jfr.Event {
  @Label("RIP")
  @Description("Where the guest's code was when it got hot, hexadecimal")
  String rip = "";

  @Label("Optimized")
  @Description("For the JVM's optimizing compiler: it ran much")
  boolean optimized;

  @Label("Blocks")
  int blocks;

  @Label("Instructions")
  int instructions;

  @Label("Bytecode")
  @DataAmount
  int bytecode;

  @Label("Operations Called")
  @Description("Operations without code of their own")
  int operationsCalled;

  @Label("Generating")
  @Timespan
  long generating;

  @Label("Compiling")
  @Description("The JVM's compiler, which the translator waits for, with what the class costs")
  @Timespan
  long compiling;
}
