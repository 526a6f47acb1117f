"""Renders one order in one Blender: load, look, refuse or set, then frame by frame.

Knows the order of these steps. Everything it needs to know comes from order.json beside it; nothing is
ever formatted into Python. A file's own scripts never run (-Y, use_scripts=False).
"""

import json
import os
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import bpy  # noqa: E402  (the path above must be set first)

import load  # noqa: E402
import preflight  # noqa: E402
import settings  # noqa: E402
from talk import Fault, say  # noqa: E402


def frame_name(frame):
    """Blender's own reading of f_####: four digits or more, the sign before them."""
    return "f_%s%04d" % ("-" if frame < 0 else "", abs(frame))


def render_fault(error):
    """Blender's words for a failed render, sorted into whose fault it is."""
    text = " ".join(str(error).split())[:400]
    low = text.lower()
    if "camera" in low:
        return Fault("scene", "no_camera", "the scene has no camera to render from: " + text)
    if "layers are disabled" in low or "no render" in low or "nothing to render" in low:
        return Fault("scene", "nothing_to_render", "the scene has nothing to render: " + text)
    if "memory" in low or "alloc" in low:
        return Fault("node", "out_of_memory", "Blender ran out of memory: " + text)
    if "save" in low or "write" in low:
        return Fault("node", "output", "the frame could not be written: " + text)
    return Fault("node", "render_error", "Blender could not render: " + text)


def render(order):
    say("loading")
    load.open_scene(order)
    scene = bpy.context.scene
    settings.choose_picture(scene, order)
    if order["format"] != ".blend":
        load.furnish(scene)
    say("looking")
    engine = settings.choose_engine(scene, order)
    report = preflight.look(scene, order, engine)
    say("preflight", report=report)
    preflight.refuse(report)
    settings.pin(scene, order)
    for frame in order["frames"]:
        say("frame", frame=frame)
        scene.frame_set(frame)
        scene.render.filepath = os.path.join(order["out"], frame_name(frame))
        try:
            bpy.ops.render.render(write_still=True)
        except RuntimeError as error:
            raise render_fault(error) from error
        say("saved", frame=frame)
    say("done")


def main():
    with open(os.path.join(HERE, "order.json"), encoding="utf-8") as file:
        order = json.load(file)
    try:
        render(order)
    except Fault as fault:
        say("fault", whose=fault.whose, reason=fault.reason, message=fault.message[:1000])
        os._exit(9)
    except MemoryError:
        say("fault", whose="node", reason="out_of_memory", message="Blender ran out of memory")
        os._exit(9)
    except Exception as error:  # a mistake of ours, or a Blender that this script does not know
        traceback.print_exc()
        message = "%s: %s" % (type(error).__name__, error)
        say("fault", whose="node", reason="render_error", message=message[:1000])
        os._exit(9)
    # Leave at once: taking the scene apart costs time, and some Blenders crash while doing it.
    os._exit(0)


main()
