"""Looks at an open scene and says what a render of it would meet, before anyone waits for it.

Knows what the scene needs from outside its file. Changes nothing, renders nothing, and reads names only:
every text is cut, every list is bounded, because both come from a stranger's file.
"""

import os

import bpy

import settings
from load import SOLID
from talk import Fault

LIST_MAX, TEXT_MAX = 64, 200
# Owners of an image whose picture no render shows: backdrops of a viewport, brushes, screens.
UNSEEN = {"Screen", "WorkSpace", "WindowManager", "Brush", "Palette", "Camera", "Library"}


def cut(text):
    return str(text)[:TEXT_MAX]


def look(scene, order, engine):
    render = scene.render
    eevee_samples = getattr(getattr(scene, "eevee", None), "taa_render_samples", None)
    samples = scene.cycles.samples if engine == "CYCLES" else eevee_samples
    missing = [*libraries(), *images(), *clips(), *fonts(), *caches(), *strips(scene), *node_files(), *sounds()]
    return {
        "blender": bpy.app.version_string.split()[0],
        "saved_by": list(bpy.data.version),
        "engine": engine,
        "frames": [scene.frame_start, scene.frame_end, scene.frame_step],
        "fps": round(render.fps / (render.fps_base or 1.0), 4),
        "resolution": [order["width"], order["height"]],
        "samples": order["samples"] or samples or 0,
        "denoised": bool(engine == "CYCLES" and scene.cycles.use_denoising and settings.has_denoiser()),
        "cameras": [cut(thing.name) for thing in scene.objects if thing.type == "CAMERA"][:LIST_MAX],
        "has_camera": has_camera(scene),
        "has_subject": has_subject(scene),
        "missing_count": len(missing),
        "missing": missing[:LIST_MAX],
        "scripts": [cut(text.name) for text in bpy.data.texts if text.use_module][:LIST_MAX],
        "scripted_drivers": scripted_drivers(),
    }


def refuse(report):
    """Raises the scene's fault, if it has one. The order is that of what a person would repair first."""
    for lost in report["missing"]:
        if lost["fatal"]:
            more = sum(1 for other in report["missing"] if other["fatal"]) - 1
            text = "the scene needs %s \"%s\" at %s, which is not in the file" % (lost["kind"], lost["name"], lost["path"])
            text += " (and %d more)" % more if more else ""
            raise Fault("scene", "missing_assets", text + "; pack external data into the .blend and send it again")
    if not report["has_camera"]:
        raise Fault("scene", "no_camera", "the scene has no active camera; set one and send it again")
    if not report["has_subject"]:
        raise Fault("scene", "nothing_to_render", "the scene has nothing to render")


def edits(scene):
    """Strips that the render would show, where the scene's editor is used at all."""
    editor = scene.sequence_editor
    if editor is None or not scene.render.use_sequencer:
        return []
    return list(getattr(editor, "sequences_all", None) or getattr(editor, "strips_all", ()))


def composited(scene):
    return bool(scene.render.use_compositing and getattr(scene, "use_nodes", False))


def has_camera(scene):
    return bool(scene.camera or any(marker.camera for marker in scene.timeline_markers) or edits(scene))


def has_subject(scene):
    for thing in scene.objects:
        instancing = thing.type == "EMPTY" and thing.instance_collection is not None
        if not thing.hide_render and (thing.type in SOLID or instancing):
            return True
    return bool(scene.world or edits(scene) or composited(scene))


def lost(kind, thing, path, fatal=True):
    return {"kind": kind, "name": cut(thing.name), "path": cut(path), "fatal": fatal}


def absent(path, library=None):
    return not os.path.exists(bpy.path.abspath(path, library=library))


def shown(thing, owners):
    """Whether a render could show this: some owner is neither of the viewport nor an empty's backdrop."""
    for owner in owners.get(thing, ()):
        kind = owner.bl_rna.identifier
        if kind in UNSEEN or (kind == "Object" and owner.type == "EMPTY"):
            continue
        return True
    return False


def libraries():
    return [lost("library", each, each.filepath) for each in bpy.data.libraries if absent(each.filepath)]


def images():
    found = []
    candidates = [
        image
        for image in bpy.data.images
        if image.source in {"FILE", "SEQUENCE", "MOVIE", "TILED"} and image.filepath and not image.packed_files
    ]
    owners = bpy.data.user_map(subset=set(candidates)) if candidates else {}
    for image in candidates:
        path = image.filepath
        if image.source == "TILED":
            tile = image.tiles[0].number if image.tiles else 1001
            path = path.replace("<UDIM>", str(tile)).replace("<UVTILE>", "u1_v1")
        if absent(path, image.library):
            found.append(lost("image", image, image.filepath, shown(image, owners)))
    return found


def clips():
    gone = [clip for clip in bpy.data.movieclips if absent(clip.filepath, clip.library)]
    owners = bpy.data.user_map(subset=set(gone)) if gone else {}
    return [lost("clip", clip, clip.filepath, shown(clip, owners)) for clip in gone]


def fonts():
    return [
        lost("font", font, font.filepath, font.users > 0)
        for font in bpy.data.fonts
        if font.filepath and font.filepath != "<builtin>" and not font.packed_file and absent(font.filepath, font.library)
    ]


def caches():
    found = [
        lost("cache", cache, cache.filepath, cache.users > 0)
        for cache in bpy.data.cache_files
        if absent(cache.filepath, cache.library)
    ]
    for volume in getattr(bpy.data, "volumes", ()):
        if volume.filepath and not volume.packed_file and absent(volume.filepath, volume.library):
            found.append(lost("volume", volume, volume.filepath, volume.users > 0))
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            cache = getattr(modifier, "point_cache", None)
            if cache is not None and cache.use_external and absent(cache.filepath):
                found.append(lost("cache", thing, cache.filepath))
            # A fluid may still be computed while frames follow each other, so this one is a warning.
            domain = getattr(modifier, "domain_settings", None)
            if domain is not None and absent(domain.cache_directory):
                found.append(lost("cache", thing, domain.cache_directory, False))
    return found


def strips(scene):
    found = []
    for strip in edits(scene):
        if strip.mute:
            continue
        if strip.type == "MOVIE" and absent(strip.filepath):
            found.append(lost("movie", strip, strip.filepath))
        elif strip.type == "IMAGE" and strip.elements:
            path = os.path.join(strip.directory, strip.elements[0].filename)
            if absent(path):
                found.append(lost("image", strip, path))
    return found


def node_files():
    """Light profiles and shader scripts, which nodes read by path."""
    found = []
    holders = [*bpy.data.materials, *bpy.data.lights, *bpy.data.worlds]
    trees = [*bpy.data.node_groups, *(each.node_tree for each in holders if each.node_tree)]
    for tree in trees:
        for node in tree.nodes:
            external = node.bl_idname in {"ShaderNodeTexIES", "ShaderNodeScript"} and node.mode == "EXTERNAL"
            if external and node.filepath and absent(node.filepath):
                found.append(lost("light profile" if "IES" in node.bl_idname else "shader", node, node.filepath))
    return found


def sounds():
    # No picture shows a sound: reported, never a reason to refuse.
    return [
        lost("sound", sound, sound.filepath, False)
        for sound in bpy.data.sounds
        if not sound.packed_file and absent(sound.filepath, sound.library)
    ]


def scripted_drivers():
    """Drivers that would need Python, and so stand still here (-Y). The picture may differ by them."""
    count = 0
    for name in dir(bpy.data):
        things = getattr(bpy.data, name)
        if not isinstance(things, bpy.types.bpy_prop_collection):
            continue
        for thing in things:
            for holder in (thing, getattr(thing, "node_tree", None)):
                animation = getattr(holder, "animation_data", None)
                for curve in animation.drivers if animation else ():
                    driver = curve.driver
                    if driver.type == "SCRIPTED" and not driver.is_simple_expression:
                        count += 1
    return count
